/**
 * A person's own models and images from nothing to a merged model, at the command line: five experts under other names, images as folders and a
 * CSV, `adamerge init`, `adamerge fit`, `adamerge eval`; and what is said of inputs that are wrong.
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { createRng } from "../../../src/runtime/rng.js";
import { runCli, temporaryFolder } from "../../support/cli.js";
import { copyModel, MINI8, writeImages } from "../../support/mini8-files.js";

/** mini8's task -> a person's own name. */
const EXPERTS = { mnist: "Hand", letters: "letters", earth: "land", emoji: "emoji", "fashion-mnist": "clothes" };
const IMAGES = 160;
const NAMES = ["clothes", "emoji", "hand", "land", "letters"];
const plain = (label: string) => label.replace(/[^A-Za-z0-9]+/g, "_");
let root: string;

beforeAll(async () => {
  root = await temporaryFolder();
  await copyModel("base", join(root, "base"));
  for (const [task, name] of Object.entries(EXPERTS)) {
    await copyModel(`experts/${task}`, join(root, "models", name));
    const fileOf = (index: number, label: string) => `${name}/${plain(label)}/${index}.png`;
    if (name !== "letters") await writeImages(join(root, "photos"), task, "test", IMAGES, fileOf);
  }
  const rows = await writeImages(join(root, "scans"), "letters", "test", 4 * IMAGES, (index) => `${index}, scan.png`);
  const lines = rows.map(({ path, label }) => `"../scans/${path}",${label}\n`);
  await writeFile(join(root, "photos", "letters.csv"), `path,label\n${lines.join("")}`);
}, 120_000);

const init = (...args: string[]) => runCli(root, ["init", ...args]);
const ALL = ["--base", "base", "--expert", "models", "--images", "photos"];

describe("adamerge init", () => {
  it("looks at five experts and their images, writes what a fit then merges, and repeats to the byte", async () => {
    const looked = await init(...ALL, "--dry-run");
    expect(looked.stderr).not.toContain("warning");
    expect(looked.stdout).toMatch(/^expert +tensors changed .*\n-.*\nclothes +104 +0 +0 /);
    expect(looked.stdout).toMatch(/letters +26 +prototypes +\d+ +\d+ +\d+ +\d+\n/);
    expect(looked.stdout).toMatch(/\n {2}all: no head given: prototypes of the labelled images of head/);
    expect(looked.stdout).toMatch(/time: about .*\n\nwould write images\/clothes\/manifest\.csv/);
    expect(looked.code).toBe(0);
    expect((await readdir(root)).sort()).toEqual(["base", "cache", "models", "photos", "scans"]);
    expect((await readdir(join(root, "cache"))).filter((name) => name.startsWith("init-"))).toEqual([]);

    const written = await init(...ALL, "--name", "My Pets", "--quiet");
    expect(written).toMatchObject({ code: 0, stderr: "", stdout: `${join(root, "config.yaml")}\n` });
    const suite = parse(await readFile(join(root, "suite.yaml"), "utf8"));
    expect(suite).toMatchObject({ name: "my-pets", base: "base" });
    expect(suite.tasks.map((task: { name: string }) => task.name)).toEqual(NAMES);
    const manifest = await readFile(join(root, "images", "letters", "manifest.csv"), "utf8");
    const lines = manifest.trimEnd().split("\n");
    expect(lines[0]).toBe("path,label,split");
    expect(lines[1]).toMatch(/^"\.\.\/\.\.\/scans\/\d+, scan\.png",[A-Z],(head|adapt|val|test)$/);
    expect(lines).toHaveLength(1 + 4 * IMAGES);
    // No image in two splits, every class where heads are made.
    expect(new Set(lines.map((line) => line.split('",')[0])).size).toBe(lines.length);
    expect(new Set(lines.filter((line) => line.endsWith(",head")).map((line) => line.split(",").at(-2))).size).toBe(26);

    const fitted = await runCli(root, ["fit", "config.yaml", "steps=3", "data.eval_every=0", "--verbose"]);
    expect(fitted.stdout).toMatch(/layer_wise_tsv_expert +\d+\.\d\d +[-+]\d+\.\d\d +\d+\.\d %( +\d+\.\d\d){5}\n/);
    expect(fitted.stderr).toMatch(/^memory: about /m);
    expect(fitted.code).toBe(0);
    const run = join(root, "runs", "my-pets", "default");
    expect(await readFile(join(run, "README.md"), "utf8")).toMatch(
      /class prototypes of labelled images of a split: clothes/,
    );
    expect((await openCheckpoint(join(run, "model"))).tensors.size).toBe(104);
    const judged = await runCli(root, ["eval", "config.yaml", "--coefficients", run, "--json", "--quiet"]);
    const table = JSON.parse(await readFile(join(run, "summary.json"), "utf8")).rows;
    expect(JSON.parse(judged.stdout).tasks).toEqual(table.at(-1).tasks);

    expect((await init(...ALL)).stderr).toMatch(/manifest\.csv: expected no such file yet, found one; .*--force/);
    const before = await readFile(join(root, "suite.yaml"), "utf8");
    expect((await init(...ALL, "--name", "My Pets", "--force", "--quiet")).code).toBe(0);
    expect(await readFile(join(root, "suite.yaml"), "utf8")).toBe(before);
    expect(await readFile(join(root, "images", "letters", "manifest.csv"), "utf8")).toBe(manifest);
  }, 240_000);

  it("takes heads from files, images without labels, splits as they are, and models as files", async () => {
    const head = (task: string) => join(MINI8, "heads", `${task}.safetensors`);
    await writeImages(join(root, "loose"), "letters", "adapt", 50, (index) => `${index}.png`);
    const args = [
      ...["--base", "base", "--expert", "hand=models/Hand/model.safetensors", "--expert", "letters=models/letters"],
      ...["--images", `hand=${join(MINI8, "tasks/mnist")}`, "--images", "letters=loose"],
      ...["--head", `hand=${head("mnist")}`, "--head", `letters=${head("letters")}`],
    ];
    const { code, stdout, stderr } = await init("mixed", ...args, "--json");
    expect(stderr).not.toContain("warning");
    expect(code).toBe(0);
    const found = JSON.parse(stdout);
    expect(found.images[0]).toMatchObject({ counts: { adapt: 1000, val: 500, test: 1000 } });
    expect(found.images[1]).toMatchObject({ classes: null, counts: { adapt: 50 } });
    expect(found.experts[0].accuracyPercent.expert).toBeGreaterThan(95);
    expect(found.experts[1].accuracyPercent).toBeNull();
    expect(found.files).toEqual(["suite.yaml", "config.yaml"]);
    const config = await readFile(join(root, "mixed", "config.yaml"), "utf8");
    expect(parse(config).data).toMatchObject({ adapt_split: "adapt", eval_split: "test", eval_tasks: ["hand"] });
    const fitted = await runCli(root, [
      "fit",
      "mixed/config.yaml",
      "steps=2",
      "data.eval_every=0",
      "--json",
      "--quiet",
    ]);
    expect(fitted.stderr).toBe("");
    expect(Object.keys(JSON.parse(fitted.stdout).rows[0].tasks)).toEqual(["hand"]);
  });
});

describe("wrong inputs", () => {
  /** A model changed tensor by tensor; config.json beside it. */
  async function changedModel(
    name: string,
    change: (tensor: { name: string; shape: readonly number[] }, values: Float32Array) => Partial<WritableTensor>,
  ): Promise<string> {
    const from = join(root, "models", "Hand");
    const folder = join(root, "changed", name);
    await mkdir(folder, { recursive: true });
    await cp(join(from, "config.json"), join(folder, "config.json")).catch(() => undefined);
    const model = await openCheckpoint(from);
    const tensors: WritableTensor[] = [];
    for (const { name: tensor, shape } of model.tensors.values()) {
      const data = await model.readFloat32(tensor);
      tensors.push({ name: tensor, shape, dtype: "F32", data, ...change({ name: tensor, shape }, data) });
    }
    await writeSafetensors(join(folder, "model.safetensors"), tensors);
    return folder;
  }

  /** Two experts of which `hand` is given by `args`. */
  const withHand = (...args: string[]) =>
    init("out", "--base", "base", "--expert", "land=models/land", "--images", "land=photos/land", ...args);
  const EXPERT = ["--expert", "hand=models/Hand"];
  const PHOTOS = ["--images", "hand=photos/Hand"];
  const headOf = ["--head", `hand=${join(MINI8, "heads/mnist.safetensors")}`];
  const refused = async (args: readonly string[], message: RegExp, code = 3) => {
    const result = await withHand(...args);
    expect(result.stderr).toMatch(message);
    expect(
      result.stderr
        .trimEnd()
        .split("\n")
        .filter((line) => line.startsWith("adamerge:")),
    ).toHaveLength(1);
    expect(result).toMatchObject({ code, stdout: "" });
    await expect(stat(join(root, "out"))).rejects.toThrow("ENOENT");
  };

  it("a checkpoint of another size", async () => {
    const folder = await changedModel("large", ({ name, shape }) =>
      name.endsWith("fc1.bias") ? { shape: [2 * (shape[0] ?? 0)], data: new Float32Array(2 * (shape[0] ?? 0)) } : {},
    );
    await refused(
      ["--expert", `hand=${folder}`, ...PHOTOS],
      /large.*tensor ".*fc1\.bias": expected shape \[\d+\], found \[\d+\]\. What to do: use experts fine-tuned from this base/,
    );
  });

  it("fewer classes than the head has, and classes of other names", async () => {
    await cp(join(root, "photos", "Hand"), join(root, "nine"), { recursive: true });
    await rm(join(root, "nine", "9"), { recursive: true });
    await refused(
      [...EXPERT, "--images", "hand=nine", ...headOf],
      /^adamerge: hand: expected images of the head's 10 classes, found 9 \(0, 1, 2, 3, 4, \.\.\.\); add images/,
    );
    await writeFile(join(root, "names.txt"), "zero\none\n");
    await refused(
      [...EXPERT, ...PHOTOS, ...headOf, "--classes", "hand=names.txt"],
      /no images of zero, one and images of 0, 1/,
    );
  });

  it("a folder without images, labels that are missing, files that are not there", async () => {
    await mkdir(join(root, "empty", "a"), { recursive: true });
    await refused(
      [...EXPERT, "--images", "hand=empty"],
      /--images hand: .*empty: expected images as .*, found none; check the path/,
    );
    await writeImages(join(root, "bare"), "mnist", "adapt", 10, (index) => `${index}.png`);
    await refused(
      [...EXPERT, "--images", "hand=bare"],
      /expected labels .*, since the expert hand has no head, found none/,
    );
    await refused(
      [...EXPERT, "--images", "hand=gone"],
      /--images hand=gone: expected an existing path|--images gone: expected an existing path/,
      2,
    );
    await refused([...EXPERT], /--images: expected images for every expert, found none for hand/, 2);
    await refused([...EXPERT, ...PHOTOS, "--head", "hadn=names.txt"], /--head hadn: .*did you mean hand\?/, 2);
  });

  it("an expert that does not come from the base, and a class order that differs, are warned of", async () => {
    const random = createRng("apart");
    const folder = await changedModel("apart", (_, values) => {
      const size = Math.hypot(...values) / Math.sqrt(values.length);
      return { data: values.map(() => size * random.nextNormal()) };
    });
    const apart = await withHand("--expert", `hand=${folder}`, ...PHOTOS, "--dry-run");
    expect(apart.stderr).toMatch(
      /^warning: the expert of hand differs from the base by 1\.\d\d of the base's own size; .* another base/m,
    );
    expect(apart.code).toBe(0);

    const words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    for (const [digit, word] of words.entries())
      await cp(join(root, "photos", "Hand", String(digit)), join(root, "words", word), { recursive: true });
    const args = [...EXPERT, "--images", "hand=words", ...headOf, "--dry-run"];
    const wrong = await withHand(...args);
    expect(wrong.stdout).toContain(
      "hand: the head's rows are in the order of the class names (eight, five, four, ...)",
    );
    expect(wrong.stderr).toMatch(
      /^warning: the expert of hand with its head is right on \d+\.\d % of its own images.*--classes hand=FILE/m,
    );
    await writeFile(join(root, "words.txt"), `${words.join("\n")}\n`);
    const right = await withHand(...args, "--classes", "hand=words.txt");
    expect(right.stderr).not.toContain("warning");
    expect(right.code).toBe(0);
  });
});
