/**
 * Merges of adapters that peft wrote, as one adapter: read back it is base + sum of weight * task vector, with weights
 * that differ from tensor to tensor. What peft makes of one: test/conformance/bert-adapters.test.ts.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StackedFactors, stackError, stackedFactors, truncatedStack } from "../../src/merge/stacked-factors.js";
import { type AdapterSummand, type SummedAdapterOptions, saveSummedAdapter } from "../../src/merge/summed-adapter.js";
import { openAdapter, openBase, openExpert } from "../../src/model/open-models.js";
import { CONFORMANCE } from "../conformance/fixture.js";
import { randomArray, relativeError } from "../support/random.js";
import { weightAt, weightedSums } from "../support/weighted-experts.js";

const TOWER = {
  base: join(CONFORMANCE, "tower-quick-gelu"),
  experts: ["plain", "patterns", "linearized"],
  in: "adapters",
};
const BERT = {
  base: join(CONFORMANCE, "text-encoders", "bert"),
  experts: ["everything", "biases", "tables"],
  in: "bert-adapters",
};
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "summed-adapter-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function summed(of: typeof TOWER, options: Partial<SummedAdapterOptions> = {}) {
  const base = await openBase(of.base);
  const paths = of.experts.map((name) => join(CONFORMANCE, of.in, name));
  const summands = await Promise.all(
    paths.map(async (path, expert): Promise<AdapterSummand> => {
      const adapter = await openAdapter(path, base);
      if (adapter === undefined) throw new Error("no adapter");
      return { adapter, weightOf: (name) => weightAt(name, expert) };
    }),
  );
  const place = await mkdtemp(join(folder, "adapter-"));
  const report = await saveSummedAdapter(place, {
    ...{ base, summands, rank: undefined, dtype: "F32", baseName: "../base", ...options },
  });
  const config = JSON.parse(await readFile(join(place, "adapter_config.json"), "utf8"));
  return { base, paths, place, report, config };
}

describe("factors side by side", () => {
  it.each([
    ["of a CLIP tower: a convolution, ranks and scales by pattern, biases, a module in full, a tangent", TOWER],
    ["of a BERT: LayerNorms and tables in full, all biases", BERT],
  ])("%s", async (_, of) => {
    const { base, paths, place, report, config } = await summed(of);
    const [found, wanted] = [await openExpert(place, base), await weightedSums(base, paths)];
    // What is unchanged beside a changed tensor of a module that is saved in full.
    for (const name of found.tensors.keys())
      if (!wanted.has(name)) expect(await found.readFloat32(name), name).toEqual(await base.readFloat32(name));
    expect(wanted.size).toBeGreaterThan(15);
    for (const [name, values] of wanted) {
      expect(relativeError(await found.readFloat32(name), values), name).toBeLessThan(1e-7);
      expect(relativeError(await base.readFloat32(name), values), name).toBeGreaterThan(1e-5);
    }
    expect(report.error).toBeLessThan(1e-7);
    for (const { name, rank, rankOfExperts, error } of report.matrices) {
      expect(error, name).toBeLessThan(1e-6);
      const shape = base.tensors.get(name)?.shape ?? [];
      expect(rank, name).toBe(Math.min(rankOfExperts, ...shape));
    }
    expect(config.r).toBe(report.rank);
    // Every product has scale 1.
    expect(config.alpha_pattern).toEqual(config.rank_pattern);
    expect(config.lora_alpha).toBe(config.r);
  });

  it("an expert with a coefficient of 0 takes no rank", async () => {
    const { report, base } = await summed(TOWER);
    const ranks = new Map(report.matrices.map(({ name, rankOfExperts }) => [name, rankOfExperts]));
    const layers = [...ranks.keys()].filter((name) => name.includes("q_proj"));
    expect(layers.length).toBeGreaterThan(1);
    const adapters = await Promise.all(
      TOWER.experts.map((name) => openAdapter(join(CONFORMANCE, "adapters", name), base)),
    );
    for (const name of layers) {
      const own = adapters.map((adapter, expert) => {
        const pair = adapter?.factors.get(name);
        if (pair === undefined || weightAt(name, expert) === 0) return 0;
        return (pair.a.shape[0] ?? 0) * (pair.initial === undefined ? 1 : 2);
      });
      expect(ranks.get(name)).toBe(own.reduce((sum, rank) => sum + rank, 0));
    }
  });

  it("with all coefficients 0 is refused: it would be the base", async () => {
    const base = await openBase(TOWER.base);
    const adapter = await openAdapter(join(CONFORMANCE, "adapters", "plain"), base);
    if (adapter === undefined) throw new Error("no adapter");
    const summands = [{ adapter, weightOf: () => 0 }];
    await expect(
      saveSummedAdapter(join(folder, "none"), { base, summands, rank: undefined, dtype: "F32", baseName: "b" }),
    ).rejects.toThrow(/expected adapters that are merged with coefficients other than 0/);
  });
});

describe("truncated to a rank", () => {
  it.each(["F32", "F16"] as const)("of %s: the stated error is that of what is read back", async (dtype) => {
    const { base, paths, place, report } = await summed(BERT, { rank: 2, dtype });
    const [found, wanted] = [await openExpert(place, base), await weightedSums(base, paths)];
    const [missed, all] = [[0], [0]];
    for (const [name, values] of wanted) {
      const [own, before] = [await found.readFloat32(name), await base.readFloat32(name)];
      const change = values.map((value, index) => value - (before[index] ?? 0));
      const difference = Math.hypot(...values.map((value, index) => value - (own[index] ?? 0)));
      missed.push(difference);
      all.push(Math.hypot(...change));
      const stated = report.matrices.find((entry) => entry.name === name);
      if (stated === undefined) expect(relativeError(own, values), name).toBeLessThan(1e-7);
      else expect(difference / Math.hypot(...change), name).toBeCloseTo(stated.error, 4);
    }
    expect(Math.hypot(...missed) / Math.hypot(...all)).toBeCloseTo(report.error, 4);
    expect(Math.max(...report.matrices.map(({ rank }) => rank))).toBe(2);
    expect(report.matrices.filter(({ rankOfExperts }) => rankOfExperts > 2).length).toBeGreaterThan(3);
    expect(report.error).toBeGreaterThan(0.01);
  });

  const stackOf = (seeds: readonly number[]): StackedFactors =>
    stackedFactors(
      seeds.map((seed, at) => ({
        weight: 0.3 + at,
        ...{ rank: 3, b: randomArray(20 * 3, seed), a: randomArray(3 * 14, seed + 50) },
      })),
      20,
      14,
    );
  const matrixOf = ({ a, b, rank }: { a: ArrayLike<number>; b: ArrayLike<number>; rank: number }): Matrix =>
    Matrix.from1DArray(20, rank, [...Array.from(b)]).mmul(Matrix.from1DArray(rank, 14, [...Array.from(a)]));

  it.each([1, 2, 5, 8])("of rank %i is what singular values say (ml-matrix)", (rank) => {
    const stack = stackOf([1, 2, 3]);
    const found = { ...truncatedStack(stack, rank), rank };
    const product = matrixOf(stack);
    const left = new SingularValueDecomposition(product).diagonal.slice(rank);
    const { difference, norm } = stackError(stack, found);
    expect(norm).toBeCloseTo(product.norm("frobenius"), 8);
    expect(difference).toBeCloseTo(Math.hypot(...left), 5);
    expect(Matrix.sub(product, matrixOf(found)).norm("frobenius")).toBeCloseTo(Math.hypot(...left), 5);
  });

  it("experts with the same factors, and more ranks than the matrix has, lose nothing", () => {
    const same = stackOf([4, 4]);
    const small = { ...truncatedStack(same, 3), rank: 3 };
    expect(
      Matrix.sub(matrixOf(same), matrixOf(small)).norm("frobenius") / matrixOf(same).norm("frobenius"),
    ).toBeLessThan(1e-6);
    const many = stackOf([1, 2, 3, 4, 5, 6]);
    expect(many.rank).toBe(18);
    const whole = { ...truncatedStack(many, 14), rank: 14 };
    expect(
      Matrix.sub(matrixOf(many), matrixOf(whole)).norm("frobenius") / matrixOf(many).norm("frobenius"),
    ).toBeLessThan(1e-6);
    const nothing = stackedFactors([{ weight: 1, rank: 2, b: new Float32Array(40), a: new Float32Array(28) }], 20, 14);
    expect(truncatedStack(nothing, 1)).toEqual({ b: new Float32Array(20), a: new Float32Array(14) });
  });
});
