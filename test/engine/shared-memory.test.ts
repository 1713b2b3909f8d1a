/** Values in memory that threads share: bound, given with a run, and written to as outputs, on both engines. */
import { afterAll, describe, expect, it } from "vitest";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { type Engine, type Program, sharedFloats } from "../../src/engine/program.js";
import { tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";

const shape = [3];
const program: Program = {
  name: "sums",
  frozen: new Map([["bound", { shape, dtype: "float32" }]]),
  inputs: new Map([["given", { shape, dtype: "float32" }]]),
  build: (tensors) => {
    const get = lookup(tensors);
    const sum = tf.add(get("bound"), get("given"));
    return new Map([
      ["sum", sum],
      ["double", tf.mul(sum, tf.scalar(2))],
    ]);
  },
};

const engines: readonly Engine[] = [createOnnxEngine({ provider: "cpu", threads: 1 }), await createTfjsEngine("cpu")];
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

describe.each(engines)("$name", (engine) => {
  it("sees what is bound again, also after other values, and writes outputs where they are asked for", async () => {
    const executable = await engine.compile(program);
    const beside = await engine.compile(program, executable);
    const [bound, given, sum] = [sharedFloats(3), sharedFloats(3), sharedFloats(3)];
    const inputs = new Map([["given", given]]);
    const bind = (values: Float32Array) => executable.bind(new Map([["bound", { kind: "memory", values }]]));
    bound.set([1, 2, 3]);
    given.set([10, 20, 30]);
    await bind(bound);
    const outputs = await executable.run(inputs, new Map([["sum", sum]]));
    expect(outputs.get("sum")).toBe(sum);
    expect([...sum]).toEqual([11, 22, 33]);
    expect([...(outputs.get("double") ?? [])]).toEqual([22, 44, 66]);
    // What changes is seen when it is bound again, by whoever shares it, and not before.
    bound.set([5, 5, 5]);
    expect([...((await executable.run(inputs)).get("sum") ?? [])]).toEqual([11, 22, 33]);
    await bind(bound);
    expect([...((await beside.run(inputs)).get("sum") ?? [])]).toEqual([15, 25, 35]);
    await bind(new Float32Array(3));
    await bind(bound);
    expect([...((await executable.run(inputs)).get("sum") ?? [])]).toEqual([15, 25, 35]);
    await executable.close();
    await beside.close();
  });
});
