/**
 * The file from which a fine-tuning resumes: one safetensors file with parameters and moments as they are, and as
 * metadata how far it is and what it belongs to. Replaced as a whole, so that a kill leaves the old one or the new one.
 */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { z } from "zod";
import { readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "../../checkpoint/safetensors.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { isThere } from "../../runtime/is-there.js";
import { parseJsonText } from "../../runtime/json-file.js";
import type { AdamWOptions, FineTuning } from "./options.js";
import type { Parameter, Parameters } from "./parameters.js";

const FORMAT = 1;
const WHAT = "the state of a fine-tuning";
const ADVICE = "delete it to begin again";

const progressSchema = z.strictObject({
  format: z.literal(FORMAT),
  step: z.int().min(0),
  seconds: z.number().min(0),
  loss: z.number(),
  settings: z.record(z.string(), z.string()),
});

/** How far a training is. */
export interface Progress {
  readonly step: number;
  /** Wall time so far, over all interruptions. */
  readonly seconds: number;
  /** In nats, the exponential mean. */
  readonly loss: number;
}

/** What a state belongs to, by the words of a message: equal in trainings that give the same result. */
export type Settings = ReadonlyMap<string, string>;

/** The parts of a parameter that are kept, by the prefix of their name in the file. */
const PARTS = ["values", "mean", "meanSquare"] as const;

/**
 * Settings, data and start of a training. Weights and labels are hashed; examples where their store knows their hash.
 */
export function settingsOf(options: FineTuning, adamw: AdamWOptions, { trained, sources }: Parameters): Settings {
  const { tasks, schedule, model } = options;
  const start = createHash("sha256");
  for (const [name, source] of sources) {
    start.update(JSON.stringify(name));
    if (source.kind === "memory") start.update(bytesOf(source.values));
  }
  const facts = {
    "tasks and their data": tasks.map(({ name, store, examplesPerStep, head }) => [
      ...[name, examplesPerStep, store.size, store.fingerprint ?? null, sha256(store.labels)],
      ...[head.classes, head.logitScale],
    ]),
    model: [model.featureSize, model.facts],
    "weights and heads at the start": start.digest("hex"),
    "trained tensors": trained.map((parameter) => [
      ...[parameter.name, parameter.shape],
      ...[adamw.decays(parameter), adamw.rateFactor(parameter)],
    ]),
    schedule: [schedule.schedule, schedule.learningRate, schedule.warmupSteps, schedule.steps],
    "settings of AdamW": [adamw.beta1, adamw.beta2, adamw.epsilon, adamw.weightDecay],
    "label smoothing": options.labelSmoothing ?? 0,
    "limit of the gradient's norm": String(options.clipNorm),
    seed: options.seed,
    // What not every training has only where there is some, so that states from before it was known stay good.
    ...(options.anchors === undefined ? {} : { anchors: [options.anchors.examplesPerStep, options.anchors.weight] }),
    ...((options.passes ?? 1) === 1 ? {} : { "passes of a step": options.passes }),
    ...(options.lora === undefined ? {} : { LoRA: [options.lora.rank, options.lora.alpha] }),
    ...((options.lora?.dropout ?? 0) === 0 ? {} : { "dropout of LoRA": options.lora?.dropout }),
  };
  return new Map(Object.entries(facts).map(([name, value]) => [name, JSON.stringify(value)]));
}

/**
 * Sets the parameters to those of the file and says how far they are; undefined where there is no file. Throws
 * CheckpointError for a file that is no state, and ConfigError for the state of another training, with what differs.
 */
export async function resumeState(
  path: string,
  trained: readonly Parameter[],
  settings: Settings,
): Promise<Progress | undefined> {
  if (!(await isThere(path))) return undefined;
  const file = await readSafetensorsHeader(path);
  const { settings: own, ...progress } = parseProgress(file.metadata, path);
  const known = new Map(Object.entries(own));
  // Those that one of the two has alone too: what a training has not is in no settings.
  const names = [...new Set([...settings.keys(), ...known.keys()])];
  const other = names.filter((name) => known.get(name) !== settings.get(name));
  if (other.length > 0)
    throw new ConfigError(
      `${path}: expected ${WHAT} with the same settings, found another training's (${other.join(", ")}); train with its settings, choose another file, or ${ADVICE}`,
    );
  for (const parameter of trained)
    for (const part of PARTS) {
      const values = await readTensorFloat32(file, `${part}/${parameter.name}`);
      if (values.length !== parameter[part].length)
        throw new CheckpointError(
          `${path}: ${part}/${parameter.name}: expected ${parameter[part].length} values, found ${values.length}; ${ADVICE}`,
        );
      parameter[part].set(values);
    }
  return progress;
}

/** The step that the state in a file is after; 0 where there is no file. Throws CheckpointError for a file that is no state. */
export async function stateStep(path: string): Promise<number> {
  if (!(await isThere(path))) return 0;
  const { metadata } = await readSafetensorsHeader(path);
  return parseProgress(metadata, path).step;
}

function parseProgress(metadata: ReadonlyMap<string, string>, path: string) {
  const kind = { what: WHAT, schema: progressSchema, advice: ADVICE, Failure: CheckpointError };
  return parseJsonText(metadata.get("state") ?? "", path, kind);
}

/** Replaces the file. Throws UserError when the disk refuses; the old one stays. */
export async function writeState(
  path: string,
  trained: readonly Parameter[],
  settings: Settings,
  { step, seconds, loss }: Progress,
): Promise<void> {
  const state = { format: FORMAT, step, seconds, loss, settings: Object.fromEntries(settings) };
  const tensors = trained.flatMap((parameter) =>
    PARTS.map((part) => ({
      ...{ name: `${part}/${parameter.name}`, dtype: "F32", shape: parameter.shape },
      data: parameter[part],
    })),
  );
  await writeSafetensors(path, tensors, { metadata: { state: JSON.stringify(state) } });
}

/** Removes the file, for whoever has saved what was learned. */
export async function removeFineTuneState(path: string): Promise<void> {
  await rm(path, { force: true });
}

function sha256(values: ArrayBufferView): string {
  return createHash("sha256").update(bytesOf(values)).digest("hex");
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
