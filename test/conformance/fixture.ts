/**
 * Reads the committed fixtures of this folder: safetensors files of F64, F32, I32 and U8 arrays, which the checkpoint
 * reader (floats for weights only) does not serve. What each array means is in README.md.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";

export const CONFORMANCE = import.meta.dirname;

export interface FixtureArrays {
  has(name: string): boolean;
  shape(name: string): readonly number[];
  /** F64 or F32 values, row-major, as float64. */
  floats(name: string): Float64Array;
  ints(name: string): Int32Array;
  bytes(name: string): Uint8Array;
}

/** The arrays of one file, `path` relative to test/conformance. Throws on a missing name or another dtype. */
export async function readFixture(path: string): Promise<FixtureArrays> {
  const absolute = join(CONFORMANCE, path);
  const { tensors } = await readSafetensorsHeader(absolute);
  const file = await readFile(absolute);
  const entryOf = (name: string) => {
    const entry = tensors.get(name);
    if (entry === undefined)
      throw new Error(`${path}: expected an array ${name}, found ${[...tensors.keys()].join(", ")}`);
    return entry;
  };
  const data = (name: string, ...dtypes: string[]) => {
    const { dtype, byteOffset, byteLength } = entryOf(name);
    if (!dtypes.includes(dtype)) throw new Error(`${path}: ${name}: expected ${dtypes.join(" or ")}, found ${dtype}`);
    // A copy, because typed arrays need an aligned start.
    return { dtype, bytes: Uint8Array.from(file.subarray(byteOffset, byteOffset + byteLength)) };
  };
  return {
    has: (name) => tensors.has(name),
    shape: (name) => entryOf(name).shape,
    floats: (name) => {
      const { dtype, bytes } = data(name, "F64", "F32");
      return dtype === "F64" ? new Float64Array(bytes.buffer) : Float64Array.from(new Float32Array(bytes.buffer));
    },
    ints: (name) => new Int32Array(data(name, "I32").bytes.buffer),
    bytes: (name) => data(name, "U8").bytes,
  };
}

const StepDescription = z.strictObject({
  base: z.string(),
  experts: z.array(z.string()),
  tasks: z.array(z.string()),
  classes: z.array(z.number()),
  mean: z.array(z.number()),
  std: z.array(z.number()),
  tensors: z.array(z.string()),
  blocks: z.array(z.number()),
  withoutEffect: z.array(z.string()),
});
export type StepDescription = z.infer<typeof StepDescription>;

/** step/fixture.json: tasks, tensor names in the row order of every [N, K] array, block of each tensor. */
export async function readStepDescription(): Promise<StepDescription> {
  return StepDescription.parse(JSON.parse(await readFile(join(CONFORMANCE, "step/fixture.json"), "utf8")));
}
