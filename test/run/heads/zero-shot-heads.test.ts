/** Suites whose heads a text tower makes: in an evaluation, a fit, a merge, an experiment and a download; and what can be wrong with them. */

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { openClipTexts } from "../../../src/model/clip/text-tower.js";
import { openClipTokenizer } from "../../../src/model/clip/tokenizer.js";
import { classPrompts, type ZeroShotContext, zeroShotHeads } from "../../../src/run/heads/zero-shot-heads.js";
import { type FakeHub, startFakeHub } from "../../fake-hub/fake-hub.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { MINI8, mini8Task, writeImages } from "../../support/mini8-files.js";
import { TINY_CLIP, writeTextModel } from "../../support/text-model.js";

const TASKS = ["mnist", "letters"];
const FEATURES = 64;
let folder: string;
let hub: FakeHub;

beforeAll(async () => {
  folder = await temporaryFolder();
  const served = join(folder, "served");
  await writeTextModel(join(served, "models", "someone", "text"), { features: FEATURES });
  hub = await startFakeHub(served);
  await writeSuite("local", "served/models/someone/text");
  await writeSuite("remote", "someone/text");
});
afterAll(() => hub.close());

async function writeSuite(name: string, textModel: string | undefined): Promise<void> {
  const zeroShot = { templates: ['a photo of the number: "{}".', "{}"] };
  const tasks = await Promise.all(
    TASKS.map(async (task) => {
      const { dataset, expert, classes } = await mini8Task(task);
      return { name: task, dataset, expert, head: { zero_shot: zeroShot }, classes: [...classes] };
    }),
  );
  const text = textModel === undefined ? {} : { text_model: textModel };
  await writeFile(
    join(folder, `${name}.yaml`),
    stringify({ name, base: join(MINI8, "base"), ...text, tasks }, { aliasDuplicateObjects: false }),
  );
  const data = { adapt_split: "adapt", eval_split: "val", eval_limit: 40, batch_size: 4 };
  await writeFile(join(folder, `${name}-run.yaml`), stringify({ suite: `${name}.yaml`, data, steps: 2, name }));
}

function run(line: string) {
  const places = { HF_HUB_CACHE: join(folder, "hub"), ADAMERGE_CACHE: join(folder, "cache") };
  return runInProcess(folder, line, { HF_ENDPOINT: hub.url, ...places, NO_COLOR: "1" });
}

describe("a suite with zero-shot heads", () => {
  it("is fitted, its heads made once; its model is merged again from what the fit learned, and says what its heads are", async () => {
    const fitted = await run("fit local-run.yaml --verbose");
    expect(fitted.stderr).toContain("head of letters: zero-shot, 26 classes x 2 templates");
    expect(fitted.code).toBe(0);
    expect(await readdir(join(folder, "cache", "heads"))).toHaveLength(TASKS.length);
    const [experiment = ""] = await readdir(join(folder, "runs"));
    const path = join("runs", experiment, "local");
    const merged = await run(`merge local-run.yaml --coefficients ${path} --output merged`);
    expect(merged.stderr).not.toContain("zero-shot");
    expect(merged.code).toBe(0);
    expect(await readFile(join(folder, "merged", "README.md"), "utf8")).toContain(
      "text features of the classes' names: mnist, letters",
    );
    expect(await readFile(join(folder, "merged", "model.safetensors"))).toEqual(
      await readFile(join(folder, path, "model", "model.safetensors")),
    );
  });

  it("takes the text tower and its tokenizer from the hub, with the same results, and then offline", async () => {
    const pulled = await run("pull remote.yaml --json");
    expect(pulled.code).toBe(0);
    // config.json, model.safetensors, tokenizer.json, tokenizer_config.json.
    expect(JSON.parse(pulled.stdout)).toMatchObject([{ type: "model", files: 4, missingBytes: expect.any(Number) }]);
    const evaluate = async (name: string) => {
      const { code, stdout, stderr } = await run(
        `eval ${name}-run.yaml --method weight_averaging --json${name === "remote" ? " --offline" : ""}`,
      );
      expect(stderr).not.toContain("adamerge: ");
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    expect(await evaluate("remote")).toEqual(await evaluate("local"));
  });

  it("is computed again in an experiment when the text tower is another", async () => {
    const row = { name: "averaging", method: "weight_averaging" };
    const experiment = {
      title: "Small",
      config: "local-run.yaml",
      suites: ["local.yaml"],
      seeds: [0],
      adaptation: [{ name: "inductive", split: "adapt" }],
      rows: [row],
    };
    await writeFile(join(folder, "small.yaml"), stringify(experiment));
    const again = async () => (await run("reproduce small.yaml")).stderr;
    expect(await again()).toMatch(/averaging/);
    const text = join(folder, "served", "models", "someone", "text");
    const heads = async () => (await readdir(join(folder, "cache", "heads"))).length;
    const before = await heads();
    await again();
    expect(await heads()).toBe(before);
    await writeTextModel(text, { features: FEATURES, without: "logit_scale" });
    expect(await again()).toContain(
      "expected the model's logit scale (a tensor logit_scale), found none; set logit_scale in suite.yaml (usually 100)",
    );
    await writeTextModel(text, { features: FEATURES });
  });

  it("says what to do about a base without text tower", async () => {
    await writeSuite("alone", undefined);
    const { code, stderr } = await run("eval alone-run.yaml --method weight_averaging");
    expect(code).toBe(3);
    expect(stderr).toContain(
      "base: expected a CLIP model with its text tower (text_model.*) for zero-shot heads, found none; name a whole CLIP model as text_model in suite.yaml, or give the file of a stored head",
    );
  });

  it("says before a download that a repository has no tokenizer", async () => {
    const bare = join(folder, "served", "models", "someone", "bare");
    await cp(join(folder, "served", "models", "someone", "text"), bare, { recursive: true });
    await rm(join(bare, "tokenizer.json"));
    await writeSuite("bare", "someone/bare");
    const { code, stderr } = await run("pull bare.yaml --dry-run");
    expect(code).toBe(3);
    expect(stderr).toContain(
      "someone/bare: expected a tokenizer (tokenizer.json, or vocab.json and merges.txt) for zero-shot heads in the repository, found none",
    );
  });
});

describe("zero-shot heads", () => {
  const task = { name: "land", classes: ["forest", "sealake"] };
  const recipe = { templates: ["a photo of {}.", "$& {}"], names: ["forest", "lake or sea"] };
  const make = (textModel: string, changes: Partial<ZeroShotContext> = {}) =>
    zeroShotHeads(
      [{ task, recipe }],
      {
        textModel,
        openTexts: openClipTexts,
        featureSize: FEATURES,
        logitScale: undefined,
        cacheDir: join(folder, "c"),
        detail: () => {},
        ...changes,
      },
      async () => (await import("../../../src/engine/tfjs-engine.js")).createTfjsEngine("cpu"),
    );
  const changed = async (name: string, options: Partial<Parameters<typeof writeTextModel>[1]>) => {
    await writeTextModel(join(folder, name), { features: FEATURES, ...options });
    return join(folder, name);
  };

  it("put names into templates as they are", () => {
    expect(classPrompts(task, recipe)).toEqual([
      ["a photo of forest.", "$& forest"],
      ["a photo of lake or sea.", "$& lake or sea"],
    ]);
    expect(classPrompts({ classes: ["a $& b", "{}"] }, { templates: ["the {}"] })).toEqual([
      ["the a $& b"],
      ["the {}"],
    ]);
  });

  it("are the same from names without the prefix, and take the suite's scale where the model has none", async () => {
    const whole = await make(await changed("whole", {}));
    const bare = await make(await changed("bare", { withoutPrefix: true, withoutScale: true }), { logitScale: 7 });
    expect(whole.get("land")?.weight).toEqual(bare.get("land")?.weight);
    expect(whole.get("land")?.logitScale).toBeCloseTo(20, 4);
    expect(bare.get("land")?.logitScale).toBe(7);
  });

  it.each([
    [
      "text features of another size than the model's",
      { features: 8 },
      "expected text features of the size of the model's, 64, found 8",
    ],
    [
      "a missing projection",
      { without: "text_projection.weight" },
      "tensor text_projection.weight: expected shape [64, 16] (text tower of config.json), found none",
    ],
  ])("refuse %s", async (name, options, message) => {
    await expect(make(await changed(name, options))).rejects.toThrow(message);
  });

  it("refuse a model without tokenizer, one half of a tokenizer, and files that are none", async () => {
    const model = await changed("no-tokenizer", {});
    await rm(join(model, "tokenizer.json"));
    const missing = `${model}: expected tokenizer.json, or vocab.json and merges.txt, of the text tower's model, found neither`;
    await expect(make(model)).rejects.toThrow(missing);
    await writeFile(join(model, "vocab.json"), '{ "a</w>": 0 }');
    await expect(make(model)).rejects.toThrow(missing);
    await writeFile(join(model, "merges.txt"), "#version: 0.2\n");
    await expect(make(model)).rejects.toThrow("vocab.json: expected a token <|startoftext|>, found none");
    await writeFile(join(model, "tokenizer.json"), "{");
    await expect(make(model)).rejects.toThrow("tokenizer.json: expected JSON");
    await writeFile(join(model, "tokenizer.json"), '{ "model": {} }');
    await expect(make(model)).rejects.toThrow(
      'tokenizer.json: expected a value of "tokenizer.normalizer", found none; take the tokenizer files of',
    );
  });

  it("refuse the tokenizer of another model", async () => {
    const model = await changed("other-tokenizer", {});
    const path = join(model, "tokenizer.json");
    const json = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...json, post_processor: null }));
    await expect(make(model)).rejects.toThrow("begins and ends every prompt with a token, found 0 tokens");
    await rm(path);
    for (const file of ["vocab.json", "merges.txt"])
      await cp(join(ROOT, "test", "conformance", "clip-tokenizer", file), join(model, file));
    await expect(make(model)).rejects.toThrow(/the tokenizer's token \d+: expected one of the text tower's 591/);
  });

  it("cut a prompt that is too long before its end", async () => {
    const tokenizer = await openClipTokenizer(TINY_CLIP, 5);
    const whole = await openClipTokenizer(TINY_CLIP, 77);
    const [ids = []] = await whole.encode(["a photo of the number"]);
    expect(await tokenizer.encode(["a photo of the number"])).toEqual([[...ids.slice(0, 4), ids.at(-1)]]);
  });
});

it("adamerge init writes zero-shot heads of the images' classes, with another model's text tower", async () => {
  const images = await Promise.all(
    TASKS.map(async (task) => {
      await writeImages(
        join(folder, "photos"),
        task,
        "test",
        60,
        (index, label) => `${task}/class_${label}/${index}.png`,
      );
      return `--images ${task}=photos/${task} --expert ${task}=${join(MINI8, "experts", task)} --head ${task}=zero-shot`;
    }),
  );
  const line = `init made --base ${join(MINI8, "base")} ${images.join(" ")} --text-model served/models/someone/text`;
  const { code, stdout } = await run(line);
  expect(code).toBe(0);
  expect(stdout).toMatch(/letters +\d+ +zero-shot/);
  expect(stdout).toContain('all: the prompt is "a photo of a {}."; others under templates in suite.yaml');
  const suite = parse(await readFile(join(folder, "made", "suite.yaml"), "utf8"));
  expect(suite.text_model).toBe(join(folder, "served", "models", "someone", "text"));
  const [mnist] = suite.tasks;
  expect(mnist.classes).toContain("class_7");
  expect(mnist.head).toEqual({
    zero_shot: { templates: ["a photo of a {}."], names: mnist.classes.map((name: string) => name.replace("_", " ")) },
  });
  const evaluated = await run("eval made/config.yaml --method weight_averaging --json");
  expect(evaluated.code).toBe(0);
});

it("adamerge init says that zero-shot heads need names", async () => {
  for (const task of TASKS)
    await writeImages(join(folder, "bare"), task, "test", 20, (index) => `${task}/${index}.png`);
  const given = TASKS.map((task) => `--images ${task}=bare/${task} --expert ${task}=${join(MINI8, "experts", task)}`);
  const { code, stderr } = await run(
    `init bare --base ${join(MINI8, "base")} ${given.join(" ")} --head mnist=zero-shot --head letters=zero-shot`,
  );
  expect(stderr).toContain("--head mnist=zero-shot: expected names of the classes, found none");
  expect(code).toBe(3);
});
