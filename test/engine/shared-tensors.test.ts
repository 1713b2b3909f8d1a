/** Programs of one engine that share what is bound to one of them. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine, Program, TensorSource } from "../../src/engine/program.js";
import { tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { temporaryFolder } from "../support/cli.js";

/** x + weight, for x of any size. */
function adding(size: number, weights = 1): Program {
  return {
    name: `adding ${size}`,
    frozen: new Map([["weight", { shape: [weights], dtype: "float32" }]]),
    inputs: new Map([["x", { shape: [size], dtype: "float32" }]]),
    build: (tensors) => {
      const [x, weight] = [tensors.get("x"), tensors.get("weight")];
      return new Map(x === undefined || weight === undefined ? [] : [["y", tf.add(x, weight)]]);
    },
  };
}

const memory = (...values: number[]): ReadonlyMap<string, TensorSource> =>
  new Map([["weight", { kind: "memory", values: Float32Array.from(values) }]]);

let file: ReadonlyMap<string, TensorSource>;
beforeAll(async () => {
  const path = join(await temporaryFolder(), "weight.safetensors");
  await writeSafetensors(path, [{ name: "weight", dtype: "F32", shape: [1], data: Float32Array.of(30) }]);
  const { byteOffset, byteLength } = (await readSafetensorsHeader(path)).tensors.get("weight") ?? expect.fail("weight");
  file = new Map([["weight", { kind: "file", path, byteOffset, byteLength }]]);
});

describe.each([
  { name: "onnx", open: async (): Promise<Engine> => createOnnxEngine({ provider: "cpu", threads: 1 }) },
  { name: "tfjs", open: () => createTfjsEngine("cpu") },
])("$name", ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());
  const ones = (size: number) => new Map([["x", new Float32Array(size).fill(1)]]);

  it("what is bound to one is bound to all, before and after, until the last is closed", async () => {
    const first = await engine.compile(adding(1));
    await first.bind(memory(2));
    const second = await engine.compile(adding(2), first);
    expect([...((await second.run(ones(2))).get("y") ?? [])]).toEqual([3, 3]);
    const third = await engine.compile(adding(3), second);
    await third.bind(memory(10));
    expect([...((await first.run(ones(1))).get("y") ?? [])]).toEqual([11]);
    await second.bind(file);
    await first.close();
    await first.close();
    expect([...((await third.run(ones(3))).get("y") ?? [])]).toEqual([31, 31, 31]);
    await third.close();
    expect([...((await second.run(ones(2))).get("y") ?? [])]).toEqual([31, 31]);
    await second.close();
  });

  it("only programs of the same frozen tensors and the same engine share them", async () => {
    const first = await engine.compile(adding(1));
    await expect(engine.compile(adding(2, 2), first)).rejects.toThrow("have different frozen tensors");
    const other = await open();
    await expect(other.compile(adding(2), first)).rejects.toThrow("shares tensors with one of another engine");
    await other.close();
    await first.close();
  });
});
