/** The fine-tuning step: gradients against central differences of its own losses, anchors, and frozen heads. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { TensorValues } from "../../src/engine/program.js";
import { clipVisionModel } from "../../src/model/clip/vision-model.js";
import { type FineTuneOptions, fineTuneProgram } from "../../src/optimize/fine-tune-program.js";
import { createRng } from "../../src/runtime/rng.js";
import { CONFORMANCE } from "../conformance/fixture.js";
import { normalizationOf, towerConfig } from "../conformance/problem.js";
import { randomArray, relativeError } from "../support/random.js";

const TOWER = "tower-quick-gelu";
const TASKS = [
  { name: "a", classes: 5, images: 3 },
  { name: "b", classes: 4, images: 2 },
];
const ANCHORS = { images: 2, weight: 0.7 };
const IMAGES = TASKS.reduce((sum, { images }) => sum + images, 0);

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

let options: FineTuneOptions;
const inputs = new Map<string, TensorValues>();

beforeAll(async () => {
  const config = await towerConfig(TOWER);
  options = {
    model: clipVisionModel(config, await normalizationOf(TOWER)),
    tasks: TASKS,
    labelSmoothing: 0.1,
    logitScale: 3,
    trainHeads: true,
    anchors: ANCHORS,
  };
  const checkpoint = await openCheckpoint(join(CONFORMANCE, TOWER));
  for (const { name } of options.model.tensors) inputs.set(`weights/${name}`, await checkpoint.readFloat32(name));
  TASKS.forEach(({ name, classes }, index) => {
    inputs.set(`head/${name}/weight`, Float32Array.from(randomArray(classes * config.projectionSize, 10 + index)));
    inputs.set(`head/${name}/bias`, Float32Array.from(randomArray(classes, 20 + index)));
  });
  const rng = createRng(3, "images");
  const size = config.imageSize ** 2 * config.channels;
  inputs.set(
    "images",
    Uint8Array.from({ length: (IMAGES + ANCHORS.images) * size }, () => rng.nextInt(256)),
  );
  inputs.set("labels", Int32Array.from([0, 4, 2, 3, 1]));
  inputs.set("anchors", Float32Array.from(randomArray(ANCHORS.images * config.projectionSize, 30)));
});

async function compile(settings: FineTuneOptions) {
  const executable = await engine.compile(fineTuneProgram(settings));
  return (changed: ReadonlyMap<string, TensorValues> = new Map()) => executable.run(new Map([...inputs, ...changed]));
}

/** The number whose gradient the program returns: losses weighted by images, and the anchors' by their weight. */
const total = (losses: ArrayLike<number>): number =>
  TASKS.reduce((sum, { images }, task) => sum + ((losses[task] ?? Number.NaN) * images) / IMAGES, 0) +
  ANCHORS.weight * (losses[TASKS.length] ?? Number.NaN);

it("has the gradients of weights and heads, along random directions", async () => {
  const run = await compile(options);
  const outputs = await run();
  const trained = [...outputs.keys()].filter((name) => name.startsWith("gradient/")).map((name) => name.slice(9));
  expect(trained.filter((name) => name.startsWith("head/"))).toHaveLength(2 * TASKS.length);
  const analytic: number[] = [];
  const numeric: number[] = [];
  for (let seed = 1; seed <= 8; seed++) {
    const directions = new Map(
      trained.map((name, index) => [name, randomArray(inputs.get(name)?.length ?? 0, 100 * seed + index)]),
    );
    const width = 1e-3;
    const at = async (sign: number) => {
      const moved = [...directions].map(([name, direction]): [string, Float32Array] => [
        name,
        Float32Array.from(direction, (slope, index) => (inputs.get(name)?.[index] ?? 0) + sign * width * slope),
      ]);
      return total((await run(new Map(moved))).get("losses") ?? []);
    };
    numeric.push(((await at(1)) - (await at(-1))) / (2 * width));
    analytic.push(
      [...directions].reduce((sum, [name, direction]) => {
        const gradient = outputs.get(`gradient/${name}`) ?? [];
        return sum + direction.reduce((dot, slope, index) => dot + slope * (gradient[index] ?? Number.NaN), 0);
      }, 0),
    );
  }
  expect(relativeError(analytic, numeric)).toBeLessThan(5e-3);
});

it("an anchor's loss is the squared distance to its features: quadratic in them, and the tasks' losses do not change", async () => {
  const run = await compile(options);
  const kept = Float32Array.from(inputs.get("anchors") ?? []);
  const lossAt = async (factor: number) =>
    (await run(new Map([["anchors", Float32Array.from(kept, (value) => factor * value)]]))).get("losses") ?? [];
  const [none, once, twice] = [await lossAt(0), await lossAt(1), await lossAt(2)];
  const norm = kept.reduce((sum, value) => sum + value ** 2, 0) / ANCHORS.images;
  const anchor = TASKS.length;
  // |f - 2a|^2 - 2 |f - a|^2 + |f|^2 = 2 |a|^2
  expect((twice[anchor] ?? 0) - 2 * (once[anchor] ?? 0) + (none[anchor] ?? 0)).toBeCloseTo(2 * norm, 3);
  for (let task = 0; task < anchor; task++) expect(once[task]).toBeCloseTo(none[task] ?? Number.NaN, 5);
});

it("frozen heads have no gradient, and without anchors there is no loss of theirs", async () => {
  const { anchors: _anchors, ...plain } = options;
  const executable = await engine.compile(fineTuneProgram({ ...plain, trainHeads: false }));
  const size = (inputs.get("images")?.length ?? 0) / (IMAGES + ANCHORS.images);
  const { anchors, ...own } = Object.fromEntries(inputs);
  expect(anchors).toBeDefined();
  const images = inputs.get("images")?.slice(0, IMAGES * size) ?? new Uint8Array();
  const outputs = await executable.run(new Map(Object.entries({ ...own, images })));
  expect(outputs.get("losses")).toHaveLength(TASKS.length);
  expect([...outputs.keys()].some((name) => name.startsWith("gradient/head/"))).toBe(false);
  const withAnchors = (await (await compile(options))()).get("losses") ?? [];
  expect(relativeError(outputs.get("losses") ?? [], [...withAnchors].slice(0, TASKS.length))).toBeLessThan(1e-5);
});
