/** Runs rounds of a scenario of engine-failures.mjs in a process of its own. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "./cli.js";

export interface Endings {
  readonly code: number | string;
  readonly stderr: string;
  /** What each round ended with. */
  readonly lines: readonly string[];
}

const FILE_BYTES = 8000;

export async function endings(scenario: string, rounds: number): Promise<Endings> {
  const file = join(await temporaryFolder(), "floats");
  await writeFile(file, new Uint8Array(FILE_BYTES));
  const script = join(import.meta.dirname, "engine-failures.mjs");
  return new Promise((resolve) => {
    execFile(process.execPath, [script, scenario, String(rounds), file], (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.code ?? String(error.signal));
      resolve({ code, stderr, lines: stdout.trim().split("\n") });
    });
  });
}
