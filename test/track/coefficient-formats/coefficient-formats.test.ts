/** Coefficients in other tools' files: orders against transformers, arrays against NumPy, and there and back without loss. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { fusionBenchLayers, officialLayers } from "../../../src/model/clip/layer-orders.js";
import { mergekitText } from "../../../src/track/coefficient-formats/mergekit.js";
import { npyBytes, parseNpy } from "../../../src/track/coefficient-formats/npy.js";
import {
  fusionBenchArray,
  officialText,
  recordOfArray,
  recordOfOfficial,
} from "../../../src/track/coefficient-formats/tables.js";
import type { CoefficientsRecord } from "../../../src/track/coefficients-file.js";
import { ROOT } from "../../support/cli.js";

const FOLDER = join(ROOT, "test", "conformance", "layer-orders");
const TASKS = ["a", "b", "c"];
const numpy = async (name: string) => parseNpy(await readFile(join(FOLDER, name)), name);

const PROJECTION = "visual_projection.weight";
/** A value that no other tensor has. */
function record(names: readonly string[], qkv: boolean): CoefficientsRecord {
  const groupOf = names.map((name) => [name, qkv ? name.replace(/\.[kv]_proj/, ".q_proj") : name] as const);
  const groups = [...new Set(groupOf.map(([, group]) => group))];
  const values = TASKS.map((_, task) => groups.map((__, group) => task + group / 256));
  return { granularity: "layer-wise", tasks: TASKS, groups, values, groupOf: Object.fromEntries(groupOf) };
}
const lambdaOf = ({ groups, groupOf, values }: CoefficientsRecord, task: number, name: string) =>
  values[task]?.[groups.indexOf(groupOf[name] ?? "")];

describe("FusionBench's array", () => {
  it("has the parameters of transformers' CLIPVisionModel, in their order", async () => {
    const { parameters } = JSON.parse(await readFile(join(FOLDER, "parameters.json"), "utf8"));
    expect(fusionBenchLayers(2).flat()).toEqual(parameters.map((name: string) => `vision_model.${name}`));
    expect([12, 24].map((blocks) => fusionBenchLayers(blocks).length)).toEqual([199, 391]);
  });

  it("is read as NumPy wrote it, in float32 and float64, and task-wise", async () => {
    const layers = fusionBenchLayers(2);
    for (const name of ["layer-wise-f4.npy", "layer-wise-f8.npy"]) {
      const found = recordOfArray(await numpy(name), TASKS, layers, name);
      expect(found.values.flat()).toEqual(Array.from({ length: 3 * 39 }, (_, index) => index / 64));
      expect(lambdaOf(found, 1, "vision_model.encoder.layers.0.self_attn.v_proj.weight")).toBe((39 + 7) / 64);
    }
    const taskWise = recordOfArray(await numpy("task-wise.npy"), TASKS, layers, "x");
    expect(taskWise).toMatchObject({ granularity: "task-wise", values: [[0.25], [0.5], [0.125]] });
  });

  it("there and back is the same, but for the projection, which it has not", () => {
    const layers = fusionBenchLayers(3);
    const own = record([...layers.flat(), PROJECTION], false);
    const back = recordOfArray(parseNpy(npyBytes(fusionBenchArray(own, layers, "x")), "x"), TASKS, layers, "x");
    for (const [task] of TASKS.entries())
      for (const name of layers.flat()) expect(lambdaOf(back, task, name)).toBe(lambdaOf(own, task, name));
    expect(back.groupOf[PROJECTION]).toBeUndefined();
  });

  it("is what NumPy itself writes, byte for byte", async () => {
    for (const name of ["layer-wise-f4.npy", "task-wise.npy"])
      expect(Buffer.from(npyBytes(await numpy(name)))).toEqual(await readFile(join(FOLDER, name)));
  });

  it.each([
    ["fortran.npy", /columns before rows/],
    ["integers.npy", /numbers of type <i8/],
    ["parameters.json", /another kind of file/],
  ])("%s is refused", async (name, message) => {
    await expect(numpy(name)).rejects.toThrow(message);
  });

  it("that is cut, too long or has another size is refused", async () => {
    const bytes = await readFile(join(FOLDER, "task-wise.npy"));
    for (const length of [7, 11, 40, bytes.length - 1])
      expect(() => parseNpy(bytes.subarray(0, length), "cut.npy")).toThrow(/cut\.npy: expected a \.npy file/);
    expect(() => parseNpy(Buffer.concat([bytes, bytes]), "x")).toThrow(/bytes for 3 numbers/);
    const nan = npyBytes({ shape: [1], values: Float64Array.of(Number.NaN) });
    expect(() => parseNpy(nan, "x")).toThrow(/NaN at index 0/);
    const array = parseNpy(bytes, "x");
    expect(() => recordOfArray(array, ["a"], [], "w.npy")).toThrow("w.npy: expected rows for 1 tasks (a), found 3");
    const matrix = await numpy("layer-wise-f4.npy");
    expect(() => recordOfArray(matrix, TASKS, fusionBenchLayers(12), "w.npy")).toThrow("expected 199 layers");
  });
});

describe("the authors' list", () => {
  it("has 158 rows for 12 blocks and 302 for 24, the text tower's among them", () => {
    expect([12, 24].map((blocks) => officialLayers(blocks).length)).toEqual([158, 302]);
    const layers = officialLayers(12);
    expect([0, 1, 2, 155, 156, 157].map((row) => layers[row]?.length)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(layers[5]).toEqual([PROJECTION]);
    expect(layers[11]).toEqual(
      ["q", "k", "v"].map((of) => `vision_model.encoder.layers.0.self_attn.${of}_proj.weight`),
    );
    expect(layers[152]).toEqual(["vision_model.encoder.layers.11.mlp.fc2.bias"]);
    expect(new Set(layers.flat()).size).toBe(7 + 16 * 12 + 1);
  });

  it("there and back is the same where query, key and value share, and refused where they do not", () => {
    const layers = officialLayers(2);
    const own = record(layers.flat(), true);
    const text = officialText(own, layers, "x");
    expect(text.split("\n")[1]).toBe("  [1, 0.3, 0.3, 0.3],");
    const back = recordOfOfficial(text, TASKS, layers, "x");
    for (const [task] of TASKS.entries())
      for (const name of layers.flat()) expect(lambdaOf(back, task, name)).toBe(lambdaOf(own, task, name));
    expect(() => officialText(record(layers.flat(), false), layers, "c.json")).toThrow(
      /c\.json: expected one coefficient for .*q_proj.*learn with share_qkv=true/,
    );
  });

  it("is read as Python writes it, task-wise as one row", () => {
    const text = "tw = [1,\n 0.2202, .25e0, 1e-3 ,]\n".replace(" .25e0", " 0.25");
    expect(recordOfOfficial(text, TASKS, officialLayers(12), "x")).toMatchObject({
      granularity: "task-wise",
      values: [[0.2202], [0.25], [0.001]],
    });
  });

  it.each([
    ["[[1, 0.3, 0.3]]", /row 0: expected the base's 1 and 3 numbers \(a, b, c\), found 3 numbers/],
    ["[[0.5, 0.3, 0.3, 0.3]]", /row 0: expected 1 for the base, found 0.5/],
    ["[[1, 0.3, 0.3, 0.3], [1, 0.3, 0.3, 0.3]]", /expected 1 row or 158, .* found 2/],
    ["[[1, 0.3, 0.3, __import__('os')]]", /expected a list of lists of numbers/],
    ["[[1, 2, 3, 4]", /expected a list of lists of numbers/],
    ["[]", /row 0: expected the base.s 1 and 3 numbers .*, found 0 numbers/],
    ["", /expected a list of lists of numbers/],
  ])("%s is refused", (text, message) => {
    expect(() => recordOfOfficial(text, TASKS, officialLayers(12), "x")).toThrow(message);
  });
});

it("mergekit's file has a weight for every tensor, and nothing for what is not merged", () => {
  const names = fusionBenchLayers(11).flat();
  const own = record(names, false);
  const file = parse(mergekitText(own, { base: "base", experts: ["x", "y", "z"] }, names));
  expect(file).toMatchObject({ merge_method: "task_arithmetic", base_model: "base", dtype: "float32" });
  for (const [task, model] of file.models.entries()) {
    const weights: { filter?: string; value: number }[] = model.parameters.weight;
    // mergekit: the first filter that is part of the name.
    const chosen = (name: string) => weights.find(({ filter }) => filter === undefined || name.includes(filter))?.value;
    for (const name of names) expect(chosen(name)).toBe(lambdaOf(own, task, name));
    expect(chosen(PROJECTION)).toBe(0);
  }
});
