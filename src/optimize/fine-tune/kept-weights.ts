/**
 * What a fine-tuning has learned at one step, kept in a file while it goes on: the weights that were best so far. One
 * safetensors file, replaced as a whole.
 */
import { z } from "zod";
import { readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "../../checkpoint/safetensors.js";
import type { WritableTensor } from "../../checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import { isThere } from "../../runtime/is-there.js";
import { parseJsonText } from "../../runtime/json-file.js";
import { type LoraFactors, withFactors } from "./lora.js";
import type { FineTunedWeights } from "./options.js";

const recordSchema = z.strictObject({
  step: z.int().min(0),
  score: z.number(),
  lora: z.strictObject({ rank: z.int().min(1), alpha: z.number() }).optional(),
});

/** When weights were kept, and how good they were. */
export interface KeptRecord {
  readonly step: number;
  /** More is better. */
  readonly score: number;
}

/** Of what the names in the file are: the start of the training. */
export interface KeptContext {
  readonly model: Pick<Model, "tensors">;
  /** Of every tensor, as they were before the training. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly heads: readonly Head[];
}

/** Replaces the file. Throws UserError when the disk refuses; the old one stays. */
export async function writeKeptWeights(
  path: string,
  { tensors, factors, heads }: FineTunedWeights,
  { step, score }: KeptRecord,
  { model }: Pick<KeptContext, "model">,
): Promise<void> {
  const shapes = new Map(model.tensors.map(({ name, shape }) => [name, shape]));
  const tensor = (name: string, data: Float32Array, shape: readonly number[] = [data.length]): WritableTensor => ({
    ...{ name, dtype: "F32", shape, data },
  });
  const [first] = factors?.values() ?? [];
  const record = {
    ...{ step, score },
    ...(first === undefined ? {} : { lora: { rank: first.rank, alpha: first.alpha } }),
  };
  const own =
    factors === undefined
      ? [...tensors].map(([name, values]) => tensor(`weights/${name}`, values, shapes.get(name)))
      : [...factors].flatMap(([name, { a, b }]) => [tensor(`a/${name}`, a), tensor(`b/${name}`, b)]);
  const ofHeads = heads.flatMap(({ task, weight, bias }) => [
    tensor(`head/${task}/weight`, weight),
    tensor(`head/${task}/bias`, bias),
  ]);
  await writeSafetensors(path, [...own, ...ofHeads], { metadata: { kept: JSON.stringify(record) } });
}

/** The record alone; undefined where there is no file. Throws CheckpointError for a file that is none of these. */
export async function readKeptRecord(path: string): Promise<KeptRecord | undefined> {
  return (await isThere(path)) ? recordOf((await readSafetensorsHeader(path)).metadata, path) : undefined;
}

/** What was kept. Throws CheckpointError for a file that is none of these. */
export async function readKeptWeights(path: string, { weights, heads }: KeptContext): Promise<FineTunedWeights> {
  const file = await readSafetensorsHeader(path);
  const { lora } = recordOf(file.metadata, path);
  const named = (prefix: string) =>
    [...file.tensors.keys()].flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
  const keptHeads: Head[] = [];
  for (const head of heads) {
    const [weight, bias] = [
      await readTensorFloat32(file, `head/${head.task}/weight`),
      await readTensorFloat32(file, `head/${head.task}/bias`),
    ];
    keptHeads.push({ ...head, weight, bias });
  }
  const tensors = new Map<string, Float32Array>();
  if (lora === undefined) {
    for (const name of named("weights/")) tensors.set(name, await readTensorFloat32(file, `weights/${name}`));
    return { tensors, heads: keptHeads };
  }
  const factors = new Map<string, LoraFactors>();
  for (const name of named("a/")) {
    const own = {
      ...lora,
      a: await readTensorFloat32(file, `a/${name}`),
      b: await readTensorFloat32(file, `b/${name}`),
    };
    const before = weights.get(name);
    if (before === undefined)
      throw new CheckpointError(`${path}: expected factors of the model's tensors, found ${name}`);
    factors.set(name, own);
    tensors.set(name, withFactors(before, own));
  }
  return { tensors, factors, heads: keptHeads };
}

function recordOf(metadata: ReadonlyMap<string, string>, path: string): z.output<typeof recordSchema> {
  const kind = {
    what: "weights that a fine-tuning kept",
    schema: recordSchema,
    advice: "delete it",
    Failure: CheckpointError,
  };
  return parseJsonText(metadata.get("kept") ?? "", path, kind);
}
