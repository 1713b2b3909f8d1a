/** Coefficients of the shipped suite through other tools' files: the merged model stays the same. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { parseRunConfig } from "../../../src/config/load.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { openSuite } from "../../../src/data/suite.js";
import { convertCoefficients } from "../../../src/run/coefficients/convert-coefficients.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { mergeModels } from "../../../src/run/merge-models/merge-models.js";
import { coefficientsRecord } from "../../../src/run/records/records.js";
import { loadInputs } from "../../../src/run/session/inputs.js";
import { createRng } from "../../../src/runtime/rng.js";
import { coefficientsText } from "../../../src/track/coefficients-file.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { relativeError } from "../../support/random.js";

const config = parseRunConfig({ suite: join(ROOT, "datasets", "mini8"), tasks: ["digits", "signs"], share_qkv: true });
let folder: string;
let learned: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  learned = join(folder, "learned.json");
  const inputs = await loadInputs(config, { cacheDir: join(folder, "cache"), log: () => {} });
  const rng = createRng(5, "coefficients");
  const valuesKL = Float64Array.from({ length: 2 * inputs.grouping.groups.length }, () => Math.fround(rng.nextFloat()));
  await writeFile(learned, coefficientsText(coefficientsRecord(config, inputs, valuesKL)));
});

async function merged(coefficients: string, name: string): Promise<Map<string, Float32Array>> {
  const options = {
    ...{ cacheDir: join(folder, "cache"), overwrite: false, quiet: true, log: () => {} },
    signal: new AbortController().signal,
  };
  await mergeToDirectory(config, coefficients, join(folder, name), options);
  return values(join(folder, name));
}

async function values(path: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(path);
  const found = new Map<string, Float32Array>();
  for (const name of checkpoint.tensors.keys()) found.set(name, await checkpoint.readFloat32(name));
  return found;
}

it("over nothing that is there or is read", async () => {
  const { path: suitePath } = await openSuite(config.suite);
  const convert = (output: string, overwrite: boolean) =>
    convertCoefficients(config, { from: learned, output, to: "json", overwrite });
  await expect(convert(suitePath, true)).rejects.toThrow(`found one that is the suite (${suitePath})`);
  await expect(convert(learned, true)).rejects.toThrow("found one that is the file of coefficients");
  const output = join(folder, "there.json");
  await convert(output, false);
  await expect(convert(output, false)).rejects.toThrow(
    "expected a new name, found a file. Choose another name, or --overwrite",
  );
  await convert(output, true);
});

it.each(["fusionbench", "official"] as const)("through %s and back", async (form) => {
  const own = await merged(learned, `own-${form}`);
  const [there, back] = [join(folder, form), join(folder, `${form}.json`)];
  await convertCoefficients(config, { from: learned, output: there, to: form });
  const record = await convertCoefficients(config, { from: there, output: back, to: "json" });
  if (form === "fusionbench") {
    // FusionBench leaves the projection as the base has it; give it back to compare the rest.
    const { groups, values } = JSON.parse(await readFile(learned, "utf8"));
    const name = "visual_projection.weight";
    const text = coefficientsText({
      ...record,
      groups: [...record.groups, name],
      groupOf: { ...record.groupOf, [name]: name },
      values: record.values.map((row, task) => [...row, values[task][groups.indexOf(name)]]),
    });
    await writeFile(back, text);
  }
  const found = await merged(back, `back-${form}`);
  for (const [name, tensor] of own) expect([...(found.get(name) ?? [])], name).toEqual([...tensor]);
});

it("as a merge file, `adamerge merge` gives the same model", async () => {
  const own = await merged(learned, "own");
  const file = join(folder, "merge.yaml");
  await convertCoefficients(config, { from: learned, output: file, to: "mergekit" });
  await mergeModels(await readMergeFile(file), join(folder, "by-file"), {
    ...{ overwrite: false, threads: 1, log: () => {}, onProgress: () => {} },
    signal: new AbortController().signal,
  });
  const found = await values(join(folder, "by-file"));
  expect([...found.keys()].sort()).toEqual([...own.keys()].sort());
  for (const [name, tensor] of own)
    expect(relativeError(found.get(name) ?? new Float32Array(), tensor), name).toBeLessThan(1e-6);
});

it("a file of torch.save, or of another suite, says what to do", async () => {
  const file = join(folder, "weights.pt");
  await writeFile(file, "PK\x03\x04");
  const convert = (from: string) => convertCoefficients(config, { from, output: join(folder, "x"), to: "json" });
  await expect(convert(file)).rejects.toThrow(/weights\.pt: .*write it as \.npy: numpy\.save/);
  await writeFile(file, "[[1, 0.3, 0.3, 0.3]]");
  await expect(convert(file)).rejects.toThrow(
    /weights\.pt: row 0: expected the base's 1 and 2 numbers \(digits, signs\), found 4 numbers/,
  );
  await expect(convert(join(folder, "none"))).rejects.toThrow(/none: expected a file of coefficients/);
});
