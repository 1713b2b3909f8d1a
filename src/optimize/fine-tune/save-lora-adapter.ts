/**
 * What a fine-tuning learned as LoRA, as a peft adapter: its factors as they are, with the alpha they were trained with.
 * How files and peft's settings look is in checkpoint/adapter/.
 */
import { planAdapter } from "../../checkpoint/adapter/adapter-plan.js";
import { type WriteAdapterOptions, writeAdapter } from "../../checkpoint/adapter/write-adapter.js";
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { requireFinite, tensorPlace } from "../../checkpoint/task-vectors.js";
import { assert, internalError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import type { LoraFactors } from "./lora.js";

export interface LoraAdapterOptions
  extends Pick<WriteAdapterOptions, "dtype" | "baseName" | "dropout" | "taskType" | "readme" | "replace"> {
  readonly base: Pick<Checkpoint, "path" | "config" | "tensors">;
  readonly model: Pick<Model, "layout">;
  /** By the model's names, as they were learned: all of one rank and alpha. */
  readonly factors: ReadonlyMap<string, LoraFactors>;
}

/** Writes the adapter at `directory`. Throws as `writeAdapter`, and CheckpointError for factors that are not finite. */
export async function saveLoraAdapter(
  directory: string,
  { base, model, factors, ...rest }: LoraAdapterOptions,
): Promise<void> {
  const [first] = factors.values();
  assert(first !== undefined, "an adapter without factors");
  const { rank, alpha } = first;
  const { names } = towerTensors(model.layout, base.tensors.keys(), base.path);
  const byStored = new Map(
    [...factors].map(([name, own]): [string, LoraFactors] => {
      assert(own.rank === rank && own.alpha === alpha, `the factors of ${name} have another rank or alpha`);
      for (const values of [own.a, own.b]) requireFinite(values, tensorPlace(directory, name));
      return [names.get(name) ?? name, own];
    }),
  );
  const plan = planAdapter(base, new Set(byStored.keys()), rank, { modules: model.layout.modules });
  assert(plan.whole.length === 0 && plan.factors.length === factors.size, "factors of what is no matrix of a layer");
  await writeAdapter(directory, {
    ...{ ...rest, plan, alpha },
    factors: async ({ name }) => {
      const own = byStored.get(name);
      assert(own !== undefined, `no factors of ${name}`);
      return own;
    },
    whole: (name) => Promise.reject(internalError(`${name} is not written whole`)),
  });
}
