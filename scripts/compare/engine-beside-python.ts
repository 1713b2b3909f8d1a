/** A comparison of our engine with a script in Python, in a temporary folder that both use and that is gone afterwards. */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOnnxEngine } from "../../dist/engine/onnx-engine.js";
import type { Engine } from "../../dist/engine/program.js";
import { type FoundPython, findPython, type PythonNeeds } from "./find-python.js";

export interface BesidePython extends PythonNeeds {
  /** As of `findPython`. */
  readonly asked: string | undefined;
  /** Of the engine and of the script. */
  readonly threads: number;
}

export interface Comparing {
  readonly engine: Engine;
  /** The temporary folder. */
  readonly folder: string;
  readonly versions: FoundPython["versions"];
  /** Runs the script to its end. Throws where it fails. */
  readonly python: (args: readonly string[]) => void;
}

export async function engineBesidePython<T>(
  { asked, threads, ...needs }: BesidePython,
  work: (comparing: Comparing) => Promise<T>,
): Promise<T> {
  const { command, versions } = findPython(asked, needs);
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  const engine = createOnnxEngine({ provider: "cpu", threads });
  const env = { ...process.env, OMP_NUM_THREADS: String(threads), HF_HUB_OFFLINE: "1" };
  const python = (args: readonly string[]): void => {
    execFileSync(command, [...args], { stdio: ["ignore", "inherit", "inherit"], env });
  };
  try {
    return await work({ engine, folder, versions, python });
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}
