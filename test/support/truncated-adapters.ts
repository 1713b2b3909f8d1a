/** Changed models written as truncated adapters into a folder of the test's, and read back as merges read them. */
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readAdapterOf, writeAdapted } from "../../src/checkpoint/adapter/adapted-tensors.js";
import type { StoredCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelFile } from "../../src/checkpoint/model-files.js";
import { readStoredFloat32 } from "../../src/checkpoint/stored-tensor.js";
import {
  type ChangedModel,
  saveTruncatedAdapter,
  type TruncatedAdapterOptions,
} from "../../src/merge/truncated-adapter.js";
import { randomArray } from "./random.js";

/** The base with random changes of the tensors that `isChanged` names, a tenth of their size. */
export async function changedModel(
  base: StoredCheckpoint,
  isChanged: (name: string) => boolean,
): Promise<ChangedModel> {
  const values = new Map<string, Float32Array>();
  for (const name of base.tensors.keys()) {
    const own = await base.readFloat32(name);
    const noise = randomArray(own.length, values.size + 1, -0.05, 0.05);
    values.set(name, isChanged(name) ? own.map((value, index) => value + (noise[index] ?? 0)) : own);
  }
  return {
    path: "model",
    tensors: base.tensors,
    readFloat32: async (name) => values.get(name)?.slice() ?? new Float32Array(),
  };
}

export const OPTIONS = { rank: 4, dtype: "F32", baseName: "../base" } as const;

export async function written(
  folder: string,
  base: StoredCheckpoint,
  isChanged: (name: string) => boolean,
  options: Partial<TruncatedAdapterOptions> = {},
) {
  const place = await mkdtemp(join(folder, "adapter-"));
  const model = await changedModel(base, isChanged);
  const report = await saveTruncatedAdapter(place, { ...OPTIONS, base, model, ...options });
  const config = JSON.parse(await readFile(join(place, "adapter_config.json"), "utf8"));
  const { tensors } = await readModelFile(join(place, "adapter_model.safetensors"));
  return { place, model, report, config, tensors };
}

/** The tensors of the adapter at `place` as merges read them, by the base's names. */
export async function readBack(
  folder: string,
  place: string,
  base: StoredCheckpoint,
): Promise<ReadonlyMap<string, Float32Array>> {
  const adapter = await readAdapterOf(place, base);
  if (adapter === undefined) throw new Error("no adapter");
  const scratch = await mkdtemp(join(folder, "scratch-"));
  const found = await writeAdapted(adapter, base, scratch, new AbortController().signal);
  const values = await Promise.all(
    [...found].map(async ([name, stored]) => [name, await readStoredFloat32(stored)] as const),
  );
  return new Map(values);
}
