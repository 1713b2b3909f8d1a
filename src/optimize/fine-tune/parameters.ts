/**
 * What a fine-tuning learns, tensor by tensor, with what AdamW remembers of each. All of it is float32, as PyTorch
 * keeps it: twenty bytes a parameter with the copy that the engine's thread has, and four more while that hands its
 * gradients over. Values and gradients lie in memory that the threads share.
 */
import { type SharedFloats, sharedFloats, type TensorSource } from "../../engine/program.js";
import { assert } from "../../errors.js";
import { frozenByPatterns } from "../../merge/frozen.js";
import type { NamedShape } from "../../model/family.js";
import { headSources, headSpecs } from "../../model/head-program.js";
import type { Head } from "../../model/heads.js";
import type { LoraShape } from "../lora-weights.js";
import { weightName, weightSources } from "../step-program.js";
import { copiedFactors, loraShape, startFactors, withFactors } from "./lora.js";
import type { FineTunedWeights, FineTuning } from "./options.js";

export interface Parameter extends NamedShape {
  /** What the program calls it; `name` is the model's name, peft's for a factor, or this one for a head's tensor. */
  readonly input: string;
  readonly values: SharedFloats;
  readonly gradient: SharedFloats;
  readonly mean: Float32Array;
  readonly meanSquare: Float32Array;
}

export interface Parameters {
  readonly trained: readonly Parameter[];
  /** Names of the model's trained tensors: none with LoRA. */
  readonly names: ReadonlySet<string>;
  readonly lora?: LoraShape;
  /** Everything that the program binds, as it is at the start. */
  readonly sources: ReadonlyMap<string, TensorSource>;
}

/**
 * The parameters of a training before its first step. Throws ConfigError for a pattern that matches no tensor, and for
 * settings of LoRA that do not fit the model.
 */
export function startParameters(options: FineTuning): Parameters {
  const { model, weights, freeze = [], trainHeads, tasks, seed } = options;
  const isFrozen = frozenByPatterns(
    model.tensors.map(({ name }) => name),
    freeze,
  );
  const lora = options.lora === undefined ? undefined : loraShape(model, options.lora, isFrozen);
  const factors = lora === undefined ? [] : startFactors(model, lora, seed);
  const heads = tasks.map(({ head }) => head);
  const sources = new Map<string, TensorSource>([
    ...weightSources(model, weights),
    ...headSources(heads),
    ...factors.map(({ input, values }): [string, TensorSource] => [input, { kind: "memory", values }]),
  ]);
  const own = lora === undefined ? model.tensors.filter(({ name }) => !isFrozen(name)) : [];
  const chosen = [
    ...own.map(({ name, shape }) => ({ name, shape, input: weightName(name) })),
    ...factors.map(({ name, shape, input }) => ({ name, shape, input })),
    ...(trainHeads ? headSpecs(heads).map(([input, { shape }]) => ({ name: input, shape, input })) : []),
  ];
  const trained = chosen.map((tensor): Parameter => {
    const source = sources.get(tensor.input);
    assert(source?.kind === "memory", `no values for ${tensor.name}`);
    const { length } = source.values;
    const values = sharedFloats(length);
    values.set(source.values);
    sources.set(tensor.input, { kind: "memory", values });
    const moments = { mean: new Float32Array(length), meanSquare: new Float32Array(length) };
    return { ...tensor, values, gradient: sharedFloats(length), ...moments };
  });
  const names = new Set(own.map(({ name }) => name));
  return { trained, names, sources, ...(lora === undefined ? {} : { lora }) };
}

/** Copies of what has been learned so far. */
export function learnedWeights({ model, tasks, weights }: FineTuning, { trained, lora }: Parameters): FineTunedWeights {
  const byInput = new Map(trained.map(({ input, values }) => [input, values]));
  const heads = tasks.map(({ head }) => learnedHead(head, byInput));
  if (lora !== undefined) {
    const factors = copiedFactors(model, lora, byInput);
    const merged = [...factors].map(([name, own]): [string, Float32Array] => {
      const before = weights.get(name);
      assert(before !== undefined, `no weights for ${name}`);
      return [name, withFactors(before, own)];
    });
    return { tensors: new Map(merged), factors, heads };
  }
  const tensors = model.tensors.flatMap(({ name }): [string, Float32Array][] => {
    const values = byInput.get(weightName(name));
    return values === undefined ? [] : [[name, Float32Array.from(values)]];
  });
  return { tensors: new Map(tensors), heads };
}

function learnedHead(head: Head, byInput: ReadonlyMap<string, Float32Array>): Head {
  const { task, hidden } = head;
  const learned = (part: string, values: Float32Array): Float32Array =>
    Float32Array.from(byInput.get(`head/${task}/${part}`) ?? values);
  return {
    ...head,
    weight: learned("weight", head.weight),
    bias: learned("bias", head.bias),
    ...(hidden === undefined
      ? {}
      : {
          hidden: {
            ...hidden,
            weight: learned("hidden/weight", hidden.weight),
            bias: learned("hidden/bias", hidden.bias),
          },
        }),
  };
}
