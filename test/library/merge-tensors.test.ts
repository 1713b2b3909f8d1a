/** State dicts merged in memory have the bits of the same models merged from file to file, by every method that needs no examples. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  CheckpointError,
  ConfigError,
  type MergeEvent,
  mergeModels,
  mergeTensors,
  methods,
  NumericError,
  readStateDict,
  type StateDict,
  writeStateDict,
} from "../../src/index.js";
import { temporaryFolder } from "../support/cli.js";
import { randomArray } from "../support/random.js";

const SHAPES = new Map([
  ["model.embed_tokens.weight", [30, 8]],
  ["model.layers.0.mlp.weight", [24, 16]],
  ["model.layers.1.mlp.weight", [24, 16]],
  ["model.layers.1.norm.bias", [12]],
  // More than one piece, and a last one that no vector fills.
  ["lm_head.weight", [6001, 11]],
]);
const EXPERTS = ["one", "two", "three"];
/** Without a default, or with one that takes long. */
const SETTINGS: Readonly<Record<string, object>> = { linear: { weights: [0.5, 0.2, 0.1] }, wudi: { steps: 5 } };

let folder: string;
let base: StateDict;
let experts: StateDict[];
let named: Map<string, StateDict>;

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const [index, name] of ["base", ...EXPERTS].entries()) {
    const tensors = new Map(
      [...SHAPES].map(([tensor, shape], at) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const values = randomArray(size, at, -1, 1);
        const change = randomArray(size, 100 * index + at, -0.1, 0.1);
        return [tensor, { shape, values: index === 0 ? values : values.map((value, i) => value + (change[i] ?? 0)) }];
      }),
    );
    await mkdir(join(folder, name));
    await writeStateDict(join(folder, name, "model.safetensors"), tensors);
    await writeFile(join(folder, name, "config.json"), JSON.stringify({ model_type: "made" }));
  }
  // The files' order, which sums over the whole model are rounded in.
  base = await readStateDict(join(folder, "base"));
  experts = await Promise.all(EXPERTS.map((name) => readStateDict(join(folder, name))));
  named = new Map(EXPERTS.map((name, index) => [name, experts[index] ?? new Map()]));
});

/** The same models merged from file to file. */
async function fromFiles(name: string, text: string): Promise<StateDict> {
  const models = EXPERTS.map((expert) => `  - {model: ${expert}}\n`).join("");
  await writeFile(join(folder, `${name}.yaml`), `models:\n${models}${text}`);
  await mergeModels(`${name}.yaml`, { cwd: folder, output: `out-${name}`, threads: 1 });
  return readStateDict(join(folder, `out-${name}`));
}

const bits = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

function expectSame(found: StateDict, expected: StateDict): void {
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, { shape, values }] of expected) {
    expect(found.get(name)?.shape).toEqual(shape);
    expect(bits(found.get(name)?.values ?? new Float32Array()).equals(bits(values)), name).toBe(true);
  }
}

const listed = methods().filter(({ needsImages }) => !needsImages);
const byPaper = listed.filter(({ unit, perTask }) => unit !== "each tensor by itself" && !perTask);

describe("mergeTensors", () => {
  it.each(byPaper.map(({ name }) => name))("%s: the bits of the merge of files", async (method) => {
    const settings = SETTINGS[method] ?? {};
    // What is random is drawn by the models' names.
    const merged = await mergeTensors({ base, experts: named, method, settings: { ...settings }, seed: 3 });
    const parameters = JSON.stringify(settings);
    expectSame(
      merged,
      await fromFiles(method, `base_model: base\nmethod: ${method}\nparameters: ${parameters}\nseed: 3\n`),
    );
  });

  it.each(["linear", "task_arithmetic", "ties", "dare_linear", "dare_ties"])(
    "%s as merge files define it: the bits of the merge of files",
    async (mergeMethod) => {
      const hasBase = mergeMethod !== "linear";
      const settings = hasBase ? { weight: [0.2, 0.6], density: 0.4 } : { weight: [0.2, 0.6] };
      const merged = await mergeTensors({ ...(hasBase ? { base } : {}), experts, mergeMethod, settings, seed: 3 });
      const file = `${hasBase ? "base_model: base\n" : ""}merge_method: ${mergeMethod}\nparameters: ${JSON.stringify(settings)}\nseed: 3\n`;
      expectSame(merged, await fromFiles(`by-definition-${mergeMethod}`, file));
    },
  );

  it("gives each expert settings of its own", async () => {
    const [one = new Map(), two = new Map()] = experts;
    const expertSettings = [{ weight: 1 }, { weight: 0 }];
    const merged = await mergeTensors({ experts: [one, two], mergeMethod: "linear", expertSettings });
    expectSame(merged, one);
    expectSame(await mergeTensors({ base, experts: [one], mergeMethod: "slerp", settings: { t: 0 } }), base);
  });

  it("makes the model of one task where a method makes one for each", async () => {
    const byName = await mergeTensors({ base, experts: named, method: "tall_mask", task: "two" });
    expectSame(byName, await mergeTensors({ base, experts, method: "tall_mask", task: 1 }));
    const other = await mergeTensors({ base, experts, method: "tall_mask", task: 0 });
    expect(other.get("lm_head.weight")?.values).not.toEqual(byName.get("lm_head.weight")?.values);
    await expect(mergeTensors({ base, experts: named, method: "emr" })).rejects.toThrow(
      /task: expected one of one, two, three, since emr makes a model for each task, found none/,
    );
    await expect(mergeTensors({ base, experts, method: "ties", task: 0 })).rejects.toThrow(/expected none with ties/);
  });

  it("leaves the models as they were", async () => {
    const before = new Map([...base].map(([name, { values }]) => [name, values.slice()]));
    await mergeTensors({ base, experts, method: "ties" });
    await mergeTensors({ base, experts, mergeMethod: "ties", settings: { weight: 1, density: 0.5 } });
    for (const [name, values] of before) expect(base.get(name)?.values).toEqual(values);
  });
});

describe("what mergeTensors refuses", () => {
  const changed = (name: string, tensor?: { shape: number[]; values: Float32Array }) => {
    const tensors = new Map(experts[0]);
    tensors.delete(name);
    return tensor === undefined ? tensors : tensors.set(name, tensor);
  };
  const BIAS = "model.layers.1.norm.bias";
  const bias = (length: number, shape = [length]) => ({ shape, values: new Float32Array(length) });

  it.each([
    ["a tensor that is missing", () => changed(BIAS), /expert 0: tensor "model.layers.1.norm.bias": expected one/],
    ["another shape", () => changed(BIAS, bias(6)), /expected shape \[12\], as in the base, found \[6\]/],
    ["values that its shape does not have", () => changed(BIAS, bias(6, [12])), /expected 12 values, .* found 6/],
    ["a tensor too many", () => changed("head.weight", bias(2)), /"head.weight": expected only tensors of the base/],
  ])("%s", async (_what, expert, message) => {
    for (const how of [{ method: "ties" }, { mergeMethod: "ties", settings: { weight: 1 } }]) {
      const merging = mergeTensors({ base, experts: [expert()], ...how });
      await expect(merging).rejects.toThrow(CheckpointError);
      await expect(merging).rejects.toThrow(message);
    }
  });

  it.each([
    [{ method: "tis" }, /Did you mean ties/],
    [{ method: "ties", settings: { densty: 1 } }, /did you mean density/],
    [{ method: "individual" }, /expected a method that merges/],
    [{ method: "fisher" }, /looks at examples/],
    [{ mergeMethod: "tis" }, /did you mean ties/],
    [{ mergeMethod: "ties", settings: { wight: 1 } }, /did you mean weight/],
    [{ mergeMethod: "ties" }, /weight: .* for tensor/],
    [{ mergeMethod: "linear", settings: { weight: 1 } }, /base: expected none with linear/],
    [{ mergeMethod: "slerp", settings: { t: 0.5 } }, /expected 1 besides the base for slerp, found 3/],
    [{ mergeMethod: "ties", expertSettings: [{ weight: 1 }] }, /each of the 3 experts/],
  ])("%j", async (how, message) => {
    const merging = mergeTensors({ base, experts, ...how });
    await expect(merging).rejects.toThrow(ConfigError);
    await expect(merging).rejects.toThrow(message);
  });

  it("values that are not finite, and work that nobody wants any more", async () => {
    const broken = changed(BIAS, { shape: [12], values: new Float32Array(12).fill(Number.NaN) });
    await expect(mergeTensors({ base, experts: [broken], method: "weight_averaging" })).rejects.toThrow(NumericError);
    await expect(
      mergeTensors({ base, experts, method: "ties", signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
  });
});

describe("mergeModels", () => {
  it("tells its progress, stops when its events throw, and goes on", async () => {
    const call = { cwd: folder, output: "watched", threads: 1 };
    await writeFile(join(folder, "watched.yaml"), "models: [{model: one}]\nbase_model: base\nmethod: ties\n");
    const throwing = mergeModels("watched.yaml", {
      ...call,
      onEvent: () => {
        throw new Error("mine");
      },
    });
    await expect(throwing).rejects.toThrow("mine");
    const events: MergeEvent[] = [];
    const onEvent = (event: { type: string }) => {
      if (event.type === "merge") events.push(event as MergeEvent);
    };
    expect(await mergeModels("watched.yaml", { ...call, onEvent })).toMatchObject({ reason: "finished" });
    const { doneBytes, totalBytes } = events.at(-1) ?? {};
    expect(doneBytes).toBe(totalBytes);
  });
});
