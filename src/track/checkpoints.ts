/**
 * Checkpoints of a fit: `checkpoints/step-000123/` with state.json, arrays.f64 (arrays.f32 for very many parameters) and a manifest
 * of their SHA-256. Written under a temporary name, fsynced, renamed; the newest whose manifest verifies is used. Arrays are stored
 * as they are, so that a resumed fit goes on from the same bits. In a later stage of a fit also start.f32: the merged tensors that it began with.
 * Where heads are learned, or were in a former stage, also heads.f64. K tasks, L groups, P parameters, H numbers of all heads.
 */
import { createHash } from "node:crypto";
import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { TrainState } from "../optimize/events.js";
import type { Floats } from "../optimize/parametrisation/parametrisation.js";
import { withAtomicDirectory } from "../runtime/atomic-file.js";

const FORMAT = 1;
/** The one before the newest is there for the case that the newest is damaged. */
const KEPT = 2;
const NAME = /^step-(\d+)$/;
const UNFINISHED = /^(?:\.step-\d+\.[0-9a-f]{8}\.tmp|step-\d+\.replaced-[0-9a-f]{8})$/;
/** All that is in the folder of a checkpoint. */
const FILES: ReadonlySet<string> = new Set([
  "state.json",
  "arrays.f64",
  "arrays.f32",
  "start.f32",
  "heads.f64",
  "manifest.json",
]);

const stateSchema = z.object({
  format: z.literal(FORMAT),
  step: z.int().min(0),
  updates: z.int().min(0),
  evaluatedStep: z.int().min(-1),
  /** 0 where heads alone are learned. */
  size: z.int().min(0),
  /** Whether a fourth array follows: the coefficients of the last restart. */
  restarted: z.boolean().default(false),
  /** Whether the arrays are parameters [P] outside the graph, not coefficients [K, L]; and what they are stored as. */
  parametrised: z.boolean().default(false),
  dtype: z.enum(["float64", "float32"]).default("float64"),
  /** Of a rule that may end the fit: another array follows, the parameters of the best step. A score may be infinite or none. */
  stopping: z
    .object({
      lookedStep: z.int().min(0),
      bestStep: z.int().min(0),
      bestScore: z.number().nullable(),
      worseLooks: z.int().min(0),
    })
    .exactOptional(),
  /** The stage, from 0, of a fit that has several; and the tensors of start.f32 with their elements, in order. */
  stage: z.int().min(0).exactOptional(),
  start: z.array(z.tuple([z.string(), z.int().min(0)])).exactOptional(),
  /** Of heads.f64: numbers [H], then Adam's two moments. The parameters of the best step have H more behind them. */
  heads: z.object({ size: z.int().min(1), updates: z.int().min(0) }).exactOptional(),
  /** What the state belongs to: fingerprints of config, task vectors, heads and images. */
  inputs: z.record(z.string(), z.string()),
});
/** Of a path below the directory of checkpoints (a folder's with `/` at its end), also of what a killed process left unfinished. */
export function isCheckpointFile(name: string): boolean {
  const [folder = "", file, more] = name.split("/");
  const isFolder = NAME.test(folder) || UNFINISHED.test(folder);
  return isFolder && more === undefined && (file === "" || FILES.has(file ?? ""));
}

const START = "start.f32";
const HEADS = "heads.f64";
const ARRAYS = { float64: "arrays.f64", float32: "arrays.f32" } as const;

const manifestSchema = z.record(z.string(), z.string());

export interface Checkpoint {
  readonly state: TrainState;
  readonly inputs: Readonly<Record<string, string>>;
}

/** Writes the checkpoint of a state and removes all but the newest. */
export async function writeTrainCheckpoint(directory: string, { state, inputs }: Checkpoint): Promise<void> {
  const { step, adam, evaluatedStep, stopping, heads } = state;
  const isParametrised = "parametersP" in state;
  const learned: Floats = isParametrised ? state.parametersP : state.rawKL;
  const startKL = isParametrised ? undefined : state.startKL;
  const startWeights = isParametrised ? state.startWeights : undefined;
  const dtype = learned instanceof Float32Array ? "float32" : "float64";
  const facts = {
    format: FORMAT,
    step,
    updates: adam.updates,
    evaluatedStep,
    size: learned.length,
    restarted: startKL !== undefined,
    ...(isParametrised ? { parametrised: true, dtype } : {}),
    ...(stopping === undefined ? {} : { stopping: { ...stopping, bestP: undefined } }),
    ...(state.stage === undefined ? {} : { stage: state.stage }),
    ...(startWeights === undefined ? {} : { start: [...startWeights].map(([name, { length }]) => [name, length]) }),
    ...(heads === undefined ? {} : { heads: { size: heads.valuesH.length, updates: heads.adam.updates } }),
    inputs,
  };
  const further = [...(startKL === undefined ? [] : [startKL]), ...(stopping === undefined ? [] : [stopping.bestP])];
  const parts = [learned, adam.mean, adam.meanSquare, ...further];
  const files: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["state.json", [new TextEncoder().encode(`${JSON.stringify(facts, undefined, 2)}\n`)]],
    [ARRAYS[dtype], parts.map(bytesOf)],
    ...(startWeights === undefined ? [] : [[START, [...startWeights.values()].map(bytesOf)] as const]),
    ...(heads === undefined
      ? []
      : [[HEADS, [heads.valuesH, heads.adam.mean, heads.adam.meanSquare].map(bytesOf)] as const]),
  ];
  const target = path.join(directory, `step-${String(step).padStart(6, "0")}`);
  await withAtomicDirectory(
    target,
    async (temporary) => {
      // Part by part: one copy of all would double the memory of very many parameters.
      for (const [name, parts] of files) await writeParts(path.join(temporary, name), parts);
      const manifest = Object.fromEntries(files.map(([name, parts]) => [name, sha256(...parts)]));
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
  const facts = stateSchema.parse(JSON.parse(new TextDecoder().decode(await read("state.json"))));
  const { step, updates, evaluatedStep, size, restarted, parametrised, dtype, stage, start, inputs } = facts;
  const ofStage = stage === undefined ? {} : { stage };
  const bytes = await read(ARRAYS[dtype]);
  const arrays = 3 + (restarted ? 1 : 0) + (facts.stopping === undefined ? 0 : 1);
  const heads = facts.heads === undefined ? {} : { heads: headsOf(facts.heads, await read(HEADS)) };
  // Heads are kept with the parameters of the best step.
  const behind = facts.stopping === undefined ? 0 : (facts.heads?.size ?? 0);
  const wanted = (arrays * size + behind) * (dtype === "float64" ? 8 : 4);
  if (bytes.length !== wanted) throw new Error(`${ARRAYS[dtype]} has ${bytes.length} bytes, not ${wanted}`);
  const { buffer } = Uint8Array.from(bytes);
  if (parametrised) {
    const part = partsOf(dtype === "float64" ? new Float64Array(buffer) : new Float32Array(buffer), size);
    const adam = { updates, mean: part(1), meanSquare: part(2) };
    const started = start === undefined ? {} : { startWeights: weightsOf(start, await read(START)) };
    const state = { step, parametersP: part(0), adam, evaluatedStep, ...started, ...ofStage, ...heads };
    return { state: { ...state, ...stoppingOf(facts, part(arrays - 1, behind)) }, inputs };
  }
  const part = partsOf(new Float64Array(buffer), size);
  const adam = { updates, mean: part(1), meanSquare: part(2) };
  const state = { step, rawKL: part(0), adam, evaluatedStep, ...ofStage, ...heads };
  const watched = { ...state, ...stoppingOf(facts, part(arrays - 1, behind)) };
  return { state: restarted ? { ...watched, startKL: part(3) } : watched, inputs };
}

function stoppingOf({ stopping }: z.output<typeof stateSchema>, bestP: Floats): Pick<TrainState, "stopping"> {
  if (stopping === undefined) return {};
  return { stopping: { ...stopping, bestScore: stopping.bestScore ?? Number.NaN, bestP } };
}

function headsOf({ size, updates }: { readonly size: number; readonly updates: number }, bytes: Uint8Array) {
  const arrays = 3;
  if (bytes.length !== arrays * size * 8)
    throw new Error(`${HEADS} has ${bytes.length} bytes, not ${arrays * size * 8}`);
  const part = partsOf(new Float64Array(Uint8Array.from(bytes).buffer), size);
  return { valuesH: part(0), adam: { updates, mean: part(1), meanSquare: part(2) } };
}

function weightsOf(
  start: readonly (readonly [string, number])[],
  bytes: Uint8Array,
): ReadonlyMap<string, Float32Array> {
  const all = new Float32Array(Uint8Array.from(bytes).buffer);
  const wanted = start.reduce((sum, [, size]) => sum + size, 0);
  if (all.length !== wanted) throw new Error(`${START} has ${all.length} numbers, not ${wanted}`);
  let from = 0;
  return new Map(
    start.map(([name, size]) => {
      from += size;
      return [name, all.slice(from - size, from)];
    }),
  );
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Floats): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function partsOf<Values extends Floats>(arrays: Values, size: number): (index: number, behind?: number) => Values;
function partsOf(arrays: Floats, size: number): (index: number, behind?: number) => Floats {
  return (index, behind = 0) => arrays.slice(index * size, (index + 1) * size + behind);
}

async function writeParts(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, "wx");
  try {
    for (const part of parts) await handle.writeFile(part);
  } finally {
    await handle.close();
  }
}

function sha256(...parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
