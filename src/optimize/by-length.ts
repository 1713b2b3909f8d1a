/**
 * A program of a model in each of its lengths, as one executable that takes inputs of any of them. Graphs are static: each length is compiled when
 * its first examples come, and all share the tensors that are bound. Which length is used follows from the inputs alone, so results do not depend on
 * what was run before. For a model whose examples have one size it is that one program.
 */
import type { Engine, Executable, Program, TensorSource, TensorValues } from "../engine/program.js";
import { sizeOf } from "../engine/program.js";
import { assert } from "../errors.js";
import type { Model } from "../model/family.js";

/** What of a model decides about its lengths. */
export type LengthModel = Pick<Model, "lengths" | "inputs">;

/** The length of these inputs of `examples` examples; undefined where all have one size. */
export function lengthOf(
  { lengths, inputs: specs }: LengthModel,
  examples: number,
  inputs: ReadonlyMap<string, TensorValues>,
): number | undefined {
  if (lengths === undefined) return undefined;
  const found = lengths.find((length) =>
    [...specs(examples, length)].every(([name, { shape }]) => inputs.get(name)?.length === sizeOf(shape)),
  );
  assert(found !== undefined, `inputs that are not ${examples} examples of any of the lengths ${lengths.join(", ")}`);
  return found;
}

/** `program` for inputs of `examples` examples of the model: of each of its lengths, or the one without. */
export async function compileByLength(
  engine: Engine,
  model: LengthModel,
  examples: number,
  program: (length?: number) => Program,
): Promise<Executable> {
  if (model.lengths === undefined) return engine.compile(program());
  const compiled = new Map<number, Promise<Executable>>();
  let first: Promise<Executable> | undefined;
  /** What was bound before there was a program to bind it to. */
  const waiting = new Map<string, TensorSource>();
  const start = async (length: number): Promise<Executable> => {
    const executable = await engine.compile(program(length));
    await executable.bind(waiting);
    waiting.clear();
    return executable;
  };
  const executableOf = (length: number): Promise<Executable> => {
    const known = compiled.get(length);
    if (known !== undefined) return known;
    const made = first?.then((beside) => engine.compile(program(length), beside)) ?? start(length);
    first ??= made;
    compiled.set(length, made);
    return made;
  };
  return {
    bind: async (frozen) => {
      if (first !== undefined) return (await first).bind(frozen);
      for (const [name, source] of frozen) waiting.set(name, source);
    },
    run: async (inputs, into) => {
      const length = lengthOf(model, examples, inputs);
      assert(length !== undefined, "a model with lengths has one for all inputs");
      return (await executableOf(length)).run(inputs, into);
    },
    close: async () => {
      // Who ran what failed to compile was told.
      for (const executable of compiled.values())
        await executable.then(
          (made) => made.close(),
          () => undefined,
        );
    },
  };
}
