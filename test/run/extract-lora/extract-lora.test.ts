/**
 * `adamerge extract-lora`: of a merge of two low-rank changes the sum of their ranks misses nothing, a lower rank what
 * the singular values behind it come to (ml-matrix's decomposition), and the adapter read back is the model.
 */
import { cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { extractLora } from "../../../src/library/extract-lora.js";
import { openBase, openExpert } from "../../../src/model/open-models.js";
import { temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { randomArray } from "../../support/random.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

let root = "";
const CHANGED = ["encoder.layer.0.attention.self.query.weight", "encoder.layer.1.intermediate.dense.weight"];
const VECTOR = "encoder.layer.0.output.LayerNorm.bias";
const PARTS = [
  { rank: 2, weight: 0.3 },
  { rank: 1, weight: 0.5 },
];
/** By tensor, [outputs, inputs]. */
const changes = new Map<string, Matrix>();

beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
  const base = await openCheckpoint(join(root, "models", "base"));
  const tensors: WritableTensor[] = [];
  for (const [at, [name, { shape, dtype }]] of [...base.tensors].entries()) {
    if (dtype !== "F32") continue;
    const values = Float32Array.from(await base.readFloat32(name));
    const [outputs = 1, inputs = 1] = shape;
    if (CHANGED.includes(name)) {
      const change = Matrix.zeros(outputs, inputs);
      for (const [part, { rank, weight }] of PARTS.entries()) {
        const factor = (rows: number, columns: number, seed: number) =>
          Matrix.from1DArray(rows, columns, [...randomArray(rows * columns, 100 * at + 10 * part + seed)]);
        change.add(
          factor(outputs, rank, 1)
            .mmul(factor(rank, inputs, 2))
            .mul(weight),
        );
      }
      changes.set(name, change);
      for (const [index, value] of change.to1DArray().entries()) values[index] = (values[index] ?? 0) + value;
    }
    if (name === VECTOR) values[3] = 2;
    tensors.push({ name, dtype: "F32", shape, data: values });
  }
  await mkdir(join(root, "merged"));
  await cp(join(root, "models", "base", "config.json"), join(root, "merged", "config.json"));
  await writeSafetensors(join(root, "merged", "model.safetensors"), tensors, { metadata: { format: "pt" } });
}, 60_000);

const extract = (rank: number, output: string, model = "merged") =>
  extractLora("models/base", model, { cwd: root, rank, output });

it("is exact at the sum of the ranks, and reads back as the model", async () => {
  const { truncated, whole, error } = await extract(3, "exact");
  expect(truncated.map(({ name, rank }) => [name, rank])).toEqual(CHANGED.map((name) => [name, 3]));
  expect(whole).toContain(VECTOR);
  expect(error).toBeLessThan(1e-5);
  const base = await openBase(join(root, "models", "base"));
  const [adapted, merged] = [await openExpert(join(root, "exact"), base), await openCheckpoint(join(root, "merged"))];
  for (const name of [...CHANGED, VECTOR]) {
    const [own, wanted] = [await adapted.readFloat32(name), await merged.readFloat32(name)];
    expect(Math.max(...wanted.map((value, at) => Math.abs(value - (own[at] ?? Number.NaN)))), name).toBeLessThan(1e-5);
  }
  expect(await readFile(join(root, "exact", "README.md"), "utf8")).toMatch(/of `merged` from its base `base`.*rank 3/);
}, 60_000);

it("says of each matrix what a lower rank misses", async () => {
  const { truncated } = await extract(1, "small");
  for (const { name, error } of truncated) {
    const change = changes.get(name) ?? Matrix.zeros(1, 1);
    const [, ...rest] = new SingularValueDecomposition(change).diagonal;
    expect(error).toBeCloseTo(Math.hypot(...rest) / change.norm("frobenius"), 4);
  }
}, 60_000);

it("is a command, and refuses what is no pair of models", async () => {
  const run = (words: string) => runInProcess(root, words, {});
  const told = await run("extract-lora models/base merged --rank 2 -o told");
  expect(told.stdout).toMatch(/^matrix +rank +norm of change +missed %\n-.*\nencoder\S+ +2 +\S+ +\d+\.\d\d\n/);
  expect(told.stdout).toMatch(/2 matrices, \d+ other tensors in full; \d+\.\d\d % of the change's norm is missed\n$/);
  const json = await run("extract-lora models/base merged --rank 2 -o told --overwrite --json");
  expect(JSON.parse(json.stdout).truncated).toHaveLength(2);
  expect((await run("extract-lora models/base merged --rank 2 -o told")).stderr).toMatch(
    /expected a new or empty folder/,
  );
  expect((await run("extract-lora models/base merged -o other")).stderr).toMatch(/expected --rank R .*found no --rank/);
  await expect(extract(0, "none")).rejects.toThrow(/rank: expected a whole number from 1, found 0/);
  await expect(extract(2, "same", "models/base")).rejects.toThrow(/expected tensors that differ from/);
  await expect(extract(2, "other", "models/thirds")).rejects.toThrow(
    /expected the same in the base .*fine-tuned from this base/,
  );
}, 60_000);
