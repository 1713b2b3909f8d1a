/**
 * Checkpoints of a fit: `checkpoints/step-000123/` with state.json, arrays.f64 and a manifest of their SHA-256. Written under a
 * temporary name, fsynced, renamed; the newest whose manifest verifies is used. Float64 arrays are stored as they are, so that
 * a resumed fit goes on from the same bits. K tasks, L groups.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { TrainState } from "../optimize/train.js";
import { withAtomicDirectory } from "../runtime/atomic-file.js";

const FORMAT = 1;
/** The one before the newest is there for the case that the newest is damaged. */
const KEPT = 2;
const NAME = /^step-(\d+)$/;
const UNFINISHED = /^(?:\.step-\d+\.[0-9a-f]{8}\.tmp|step-\d+\.replaced-[0-9a-f]{8})$/;
/** All that is in the folder of a checkpoint. */
const FILES: ReadonlySet<string> = new Set(["state.json", "arrays.f64", "manifest.json"]);

const stateSchema = z.object({
  format: z.literal(FORMAT),
  step: z.int().min(0),
  updates: z.int().min(0),
  evaluatedStep: z.int().min(-1),
  size: z.int().min(1),
  /** Whether a fourth array follows: the coefficients of the last restart. */
  restarted: z.boolean().default(false),
  /** What the state belongs to: fingerprints of config, task vectors, heads and images. */
  inputs: z.record(z.string(), z.string()),
});
/** Of a path below the directory of checkpoints (a folder's with `/` at its end), also of what a killed process left unfinished. */
export function isCheckpointFile(name: string): boolean {
  const [folder = "", file, more] = name.split("/");
  const isFolder = NAME.test(folder) || UNFINISHED.test(folder);
  return isFolder && more === undefined && (file === "" || FILES.has(file ?? ""));
}

const manifestSchema = z.record(z.string(), z.string());

export interface Checkpoint {
  readonly state: TrainState;
  readonly inputs: Readonly<Record<string, string>>;
}

/** Writes the checkpoint of a state and removes all but the newest. */
export async function writeTrainCheckpoint(directory: string, { state, inputs }: Checkpoint): Promise<void> {
  const { step, rawKL, adam, startKL } = state;
  const facts = {
    format: FORMAT,
    step,
    updates: adam.updates,
    evaluatedStep: state.evaluatedStep,
    size: rawKL.length,
    restarted: startKL !== undefined,
    inputs,
  };
  const parts = [rawKL, adam.mean, adam.meanSquare, ...(startKL === undefined ? [] : [startKL])];
  const arrays = new Float64Array(parts.length * rawKL.length);
  for (const [index, values] of parts.entries()) arrays.set(values, index * rawKL.length);
  const files: readonly (readonly [string, Uint8Array])[] = [
    ["state.json", new TextEncoder().encode(`${JSON.stringify(facts, undefined, 2)}\n`)],
    ["arrays.f64", new Uint8Array(arrays.buffer)],
  ];
  const target = path.join(directory, `step-${String(step).padStart(6, "0")}`);
  await withAtomicDirectory(
    target,
    async (temporary) => {
      for (const [name, bytes] of files) await writeFile(path.join(temporary, name), bytes);
      const manifest = Object.fromEntries(files.map(([name, bytes]) => [name, sha256(bytes)]));
      await writeFile(path.join(temporary, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
    },
    { replace: { recognise: async () => (name) => FILES.has(name) } },
  );
  for (const name of (await stepNames(directory)).slice(KEPT))
    await rm(path.join(directory, name), { recursive: true, force: true });
}

/**
 * The newest sound checkpoint, or undefined when there is none. Damaged ones are passed over and named to `log`.
 */
export async function readTrainCheckpoint(
  directory: string,
  log: (line: string) => void,
): Promise<Checkpoint | undefined> {
  for (const name of await stepNames(directory)) {
    const found = await readOne(path.join(directory, name)).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (typeof found !== "string") return found;
    log(`${path.join(directory, name)}: passed over, ${found}`);
  }
  return undefined;
}

/** Names of checkpoints, newest first. */
async function stepNames(directory: string): Promise<string[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => NAME.test(name));
  return names.sort((a, b) => Number(NAME.exec(b)?.[1]) - Number(NAME.exec(a)?.[1]));
}

async function readOne(folder: string): Promise<Checkpoint> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path.join(folder, "manifest.json"), "utf8")));
  const read = async (name: string): Promise<Uint8Array> => {
    const bytes = await readFile(path.join(folder, name));
    if (sha256(bytes) !== manifest[name]) throw new Error(`${name} does not have the hash that manifest.json says`);
    return bytes;
  };
  const { step, updates, evaluatedStep, size, restarted, inputs } = stateSchema.parse(
    JSON.parse(new TextDecoder().decode(await read("state.json"))),
  );
  const bytes = await read("arrays.f64");
  const wanted = (restarted ? 4 : 3) * size * 8;
  if (bytes.length !== wanted) throw new Error(`arrays.f64 has ${bytes.length} bytes, not ${wanted}`);
  const arrays = new Float64Array(Uint8Array.from(bytes).buffer);
  const part = (index: number): Float64Array => arrays.slice(index * size, (index + 1) * size);
  const state = { step, rawKL: part(0), adam: { updates, mean: part(1), meanSquare: part(2) }, evaluatedStep };
  return { state: restarted ? { ...state, startKL: part(3) } : state, inputs };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
