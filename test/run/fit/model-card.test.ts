/**
 * The model card of a saved merge: its head as the hub reads it, its lines of TypeScript as they stand, the licence of
 * its models, and the settings that were changed.
 */
import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadRunConfig } from "../../../src/config/load.js";
import { imageKind } from "../../../src/data/image/kind.js";
import type { CardFacts } from "../../../src/report/card-facts.js";
import { readCardFacts } from "../../../src/report/card-facts.js";
import { type ModelCardInput, modelCard } from "../../../src/report/model-card.js";
import { localBaseName } from "../../../src/run/coefficients/merged-model-card.js";
import { fit } from "../../../src/run/fit/fit.js";
import { predict } from "../../../src/run/predict/predict.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

const run = promisify(execFile);

const headOf = (card: string) => parse(/^---\n([\s\S]*?)\n---\n/.exec(card)?.[1] ?? "");
const blockOf = (card: string, language: string) =>
  new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\n\`\`\``).exec(card)?.[1] ?? "";

describe("of a fit", () => {
  let folder = "";
  let card = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeTextSuite(folder);
    await writeFile(join(folder, "models", "base", "README.md"), "---\nlicense: apache-2.0\n---\n");
    await writeFile(join(folder, "models", "thirds", "README.md"), "---\nlicense: [Apache-2.0]\n---\n");
    const options = { presetsDir: join(ROOT, "configs", "presets"), cwd: folder };
    const { config } = await loadRunConfig(join(folder, "config.yaml"), ["output=runs", "steps=2"], options);
    await fit(config, {
      ...{ cacheDir: join(folder, "cache"), signal: new AbortController().signal, log: () => {} },
      ...{ overwrite: false, onEvent: () => {} },
    });
    folder = join(folder, "runs", config.experiment, config.name);
    card = await readFile(join(folder, "model", "README.md"), "utf8");
  }, 60_000);

  it("has a head with what loads it, what it is for, and what was measured", () => {
    const { "model-index": index, ...head } = headOf(card);
    // Models and data of a person's own have no names on the hub; one of the experts says no licence.
    expect(head).toEqual({
      library_name: "transformers",
      pipeline_tag: "feature-extraction",
      tags: ["merge", "adamerge"],
    });
    expect(index).toEqual([
      {
        name: "letters merged by adamerge",
        results: ["thirds", "vowels"].map((task) => ({
          task: { type: "text-classification" },
          dataset: { name: task, type: `letters-${task}`, split: "test" },
          metrics: [{ type: "accuracy", name: "Accuracy", value: expect.any(Number) }],
        })),
      },
    ]);
    expect(index[0].results[0].metrics[0].value).toBeLessThanOrEqual(1);
    expect(card).toContain(
      "Not stated for the merge, since its models differ: apache-2.0: `letters/base`, `letters/thirds`. No licence is named by `letters/vowels`.",
    );
  });

  it("calls a base by its folder's name where that says something", () => {
    const of = (base: string) => localBaseName({ name: "own", base });
    expect(of("/home/me/all-MiniLM-L6-v2")).toBe("all-MiniLM-L6-v2");
    expect(of("/home/me/vit.safetensors")).toBe("vit");
    for (const base of ["/home/me/base", "/cache/snapshots/8b3219a92973c328a8e22fadcfa821b5dc75636a"])
      expect(of(base)).toBe("own/base");
    expect(card).toContain("models fine-tuned from `letters/base`");
  });

  it("has lines of TypeScript that run as they stand and say what predict says", async () => {
    const place = join(await temporaryFolder(), "program");
    await mkdir(join(place, "node_modules"), { recursive: true });
    await symlink(ROOT, join(place, "node_modules", "adamerge"), "dir");
    const lines = blockOf(card, "ts");
    expect(lines.split("\n").length).toBeLessThanOrEqual(10);
    const ofRun = blockOf(await readFile(join(folder, "README.md"), "utf8"), "ts");
    expect(ofRun).toBe(lines.replace('"."', '"model"'));
    // No types in them: they are JavaScript as well.
    await writeFile(join(place, "lines.mjs"), lines);
    const { stdout } = await run(process.execPath, [join(place, "lines.mjs")], { cwd: join(folder, "model") });
    const [, text = ""] = /texts: \["(.*?)"\]/.exec(lines) ?? [];
    const expected: string[] = [];
    for await (const row of predict(join(folder, "model"), { texts: [text] }, { tasks: ["thirds"] }))
      if ("predictions" in row)
        for (const { labels } of row.predictions) expected.push(`${labels[0]?.label} ${labels[0]?.probability}`);
    expect(expected).toHaveLength(1);
    expect(stdout.trimEnd().split("\n")).toEqual(expected);
  });

  it("has lines of Python for its pooling, and settings that are not the defaults alone", () => {
    const python = blockOf(card, "python");
    expect(python).toContain('folder, task = ".", "thirds"\ntexts = ["A text to be labelled."]');
    expect(python).toContain("features = out.pooler_output");
    expect(python.split("\n").filter((line) => !/^(?:import|from) |^$/.test(line)).length).toBeLessThanOrEqual(12);
    const settings = blockOf(card, "yaml");
    expect(Object.keys(parse(settings)).toSorted()).toContain("steps");
    expect(parse(settings)).toMatchObject({ steps: 2, optimizer: { learning_rate: 0.05 } });
    expect(settings).not.toMatch(/output|checkpoint_every|^ {2}name: adam|experiment/m);
    expect(card).not.toContain(folder);
  });
});

describe("of models on the hub", () => {
  const facts = (id: string, name?: string): CardFacts => ({ baseModels: [], licence: { id, name } });
  let input: ModelCardInput;
  beforeAll(async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "c.yaml"), "extends: presets/paper\nsuite: /home/somebody/suites/pets\n");
    const options = { presetsDir: join(ROOT, "configs", "presets"), cwd: folder };
    const { config } = await loadRunConfig(join(folder, "c.yaml"), [], options);
    const tasks = { cats: 91.2345, dogs: 50 };
    input = {
      ...{ name: "pets", config, kind: imageKind, rows: [], heads: "", version: "1.2.3" },
      models: [
        { name: "org/base", hubId: "org/base", facts: facts("mit") },
        { name: "pets/cats", facts: facts("mit") },
        { name: "org/dogs", hubId: "org/dogs", facts: facts("mit") },
      ],
      coefficients: {
        granularity: "task-wise",
        tasks: ["cats", "dogs"],
        groups: ["all"],
        values: [[1], [0]],
        groupOf: {},
      },
      measured: {
        row: { method: "adamerging", average: 70.6, tasks },
        datasets: new Map([
          ["cats", { name: "Cats: all", type: "org/cats", config: "small" }],
          ["dogs", { name: "Dogs", type: "pets-dogs" }],
        ]),
      },
    };
  });

  it("names those that are there, the licence of all, and that it is judged on what it adapted on", () => {
    const card = modelCard(input);
    const head = headOf(card);
    expect(head).toMatchObject({ base_model: ["org/base", "org/dogs"], base_model_relation: "merge", license: "mit" });
    expect(head["model-index"][0].results).toEqual([
      {
        task: { type: "image-classification" },
        dataset: { name: "Cats: all", type: "org/cats", config: "small", split: "test" },
        metrics: [{ type: "accuracy", name: "Accuracy on the images adapted on", value: 0.9123 }],
      },
      expect.objectContaining({ dataset: { name: "Dogs", type: "pets-dogs", split: "test" } }),
    ]);
    expect(card).toContain("mit, which the base and all experts have.");
    expect(card).not.toContain("/home/somebody");
    expect(card).not.toContain("## Use");
  });

  it("has no licence where they differ, and no results that are entropies", () => {
    const [base] = input.models;
    const differing = modelCard({
      ...input,
      models: [...input.models, { name: "x", facts: facts("other", "acme") }],
      measured: input.measured && { ...input.measured, row: { ...input.measured.row, measure: "entropy_nats" } },
    });
    expect(headOf(differing)).not.toHaveProperty("license");
    expect(headOf(differing)).not.toHaveProperty("model-index");
    expect(differing).toContain("other (acme): `x`.");
    const silent = modelCard({ ...input, models: base === undefined ? [] : [{ ...base, facts: { baseModels: [] } }] });
    expect(silent).toContain("Not stated: no card of the base or of an expert names one.");
  });
});

it("what other cards say is taken only in the hub's form", async () => {
  const folder = await temporaryFolder();
  const card = async (head: string) => {
    await writeFile(join(folder, "README.md"), `---\n${head}\n---\n# x\n`);
    return readCardFacts(folder);
  };
  expect(
    await card("license: other\nlicense_name: acme\nlicense_link: LICENSE\nbase_model: [a/b, /home/x, c]"),
  ).toEqual({
    ...{ licence: { id: "other", name: "acme", link: "LICENSE" }, baseModels: ["a/b"], relation: undefined },
  });
  expect((await card("license: [mit, apache-2.0]")).licence).toBeUndefined();
  expect((await card("license: '<script>'")).licence).toBeUndefined();
  expect(await card("license: [")).toEqual({ baseModels: [], relation: undefined });
});
