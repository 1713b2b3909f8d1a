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
import { weightName, weightSources } from "../step-program.js";
import type { FineTunedWeights, FineTuning } from "./options.js";

export interface Parameter extends NamedShape {
  /** What the program calls it; `name` is the model's name, or this one for a head's tensor. */
  readonly input: string;
  readonly values: SharedFloats;
  readonly gradient: SharedFloats;
  readonly mean: Float32Array;
  readonly meanSquare: Float32Array;
}

export interface Parameters {
  readonly trained: readonly Parameter[];
  /** Names of the model's trained tensors. */
  readonly names: ReadonlySet<string>;
  /** Everything that the program binds, as it is at the start. */
  readonly sources: ReadonlyMap<string, TensorSource>;
}

/** The parameters of a training before its first step. Throws ConfigError for a pattern that matches no tensor. */
export function startParameters({ model, weights, freeze = [], trainHeads, tasks }: FineTuning): Parameters {
  const isFrozen = frozenByPatterns(
    model.tensors.map(({ name }) => name),
    freeze,
  );
  const heads = tasks.map(({ head }) => head);
  const sources = new Map([...weightSources(model, weights), ...headSources(heads)]);
  const chosen = [
    ...model.tensors
      .filter(({ name }) => !isFrozen(name))
      .map(({ name, shape }) => ({ name, shape, input: weightName(name) })),
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
  const names = new Set(model.tensors.map(({ name }) => name).filter((name) => !isFrozen(name)));
  return { trained, names, sources };
}

/** Copies of what has been learned so far. */
export function learnedWeights({ model, tasks }: FineTuning, { trained }: Parameters): FineTunedWeights {
  const byInput = new Map(trained.map(({ input, values }) => [input, values]));
  const tensors = model.tensors.flatMap(({ name }): [string, Float32Array][] => {
    const values = byInput.get(weightName(name));
    return values === undefined ? [] : [[name, Float32Array.from(values)]];
  });
  return { tensors: new Map(tensors), heads: tasks.map(({ head }) => learnedHead(head, byInput)) };
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
