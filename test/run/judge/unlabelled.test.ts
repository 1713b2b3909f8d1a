/** Fits where no image has a label: a folder of images and a manifest without labels; entropies and no accuracies anywhere. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseRunConfig } from "../../../src/config/load.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { fit } from "../../../src/run/fit/fit.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { runCli, temporaryFolder } from "../../support/cli.js";
import { MINI8, mini8Task, writeImages } from "../../support/mini8-files.js";

const IMAGES = 40;
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeImages(join(folder, "mnist"), "mnist", "adapt", IMAGES, (index) => `${index}.png`);
  const rows = await writeImages(join(folder, "letters"), "letters", "adapt", IMAGES, (index) => `images/${index}.png`);
  await writeFile(join(folder, "letters", "adapt.csv"), `path\n${rows.map(({ path }) => `${path}\n`).join("")}`);
  const tasks = await Promise.all(
    ["mnist", "letters"].map(async (name) => {
      const { expert, head, classes } = await mini8Task(name);
      return { name, dataset: name, expert, head, classes: [...classes] };
    }),
  );
  const suite = { name: "own", base: join(MINI8, "base"), logit_scale: 8.8, tasks };
  await writeFile(join(folder, "suite.yaml"), stringify(suite));
});

const configOf = (name: string, evalSplit: string | null) =>
  parseRunConfig({
    suite: folder,
    experiment: "own",
    name,
    output: join(folder, "runs"),
    steps: 4,
    optimizer: { learning_rate: 0.05 },
    data: { adapt_split: "adapt", eval_split: evalSplit, eval_every: 2, batch_size: 4 },
  });
const options = () => ({ cacheDir: join(folder, "cache"), signal: new AbortController().signal, log: () => {} });

describe("without labels", () => {
  it("learns, and reports entropies instead of accuracies", async () => {
    const events: TrainEvent[] = [];
    const config = configOf("a", null);
    const fitted = await fit(config, { ...options(), overwrite: false, onEvent: (event) => events.push(event) });
    const evaluations = events.filter((event) => event.type === "evaluation");
    expect(evaluations.map(({ labelled }) => labelled)).toEqual([undefined, undefined]);
    const read = (name: string) => readFile(join(fitted.runPath, name), "utf8");
    const { rows } = JSON.parse(await read("summary.json"));
    expect(rows).toEqual(fitted.table);
    for (const row of fitted.table) {
      expect(row.measure).toBe("entropy_nats");
      for (const entropy of Object.values(row.tasks)) expect(entropy).toBeGreaterThan(0);
    }
    // What is minimised has gone down on the images it is minimised on.
    const learned = fitted.table.at(-1);
    const entropyOf = (values: readonly number[] = []) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(learned?.average).toBeLessThan(entropyOf(evaluations[0]?.entropyNats));
    for (const name of ["summary.json", "metrics.jsonl", "README.md", "report.html"]) {
      // The page's own script knows the word.
      expect((await read(name)).replaceAll(/<script>[\s\S]*?<\/script>/g, "")).not.toMatch(
        /NaN|null,|accuracyPercent|eval\/acc|eval\/loss/,
      );
    }
    const lines = (await read("metrics.jsonl")).trim().split("\n");
    expect(lines.filter((line) => line.includes("eval/entropy/mnist"))).toHaveLength(3);
    expect(await read("README.md")).toMatch(/accuracy was not measured\*\*.*## Entropy.*\| entropy \(nats\) \|/s);
    expect(await read("report.html")).toMatch(/without labels there are entropies.*Mean entropy of the predictions/s);
    expect(JSON.parse(await read("predictions.json"))).toMatchObject({ split: "adapt" });

    const saved = { kind: "coefficients", path: join(fitted.runPath, "coefficients.json") } as const;
    const { row } = await evaluateMethod(config, saved, options());
    expect(row).toEqual({ ...learned, method: "coefficients" });
  });

  it("is what the error about missing labels points to, and takes no settings that need them", async () => {
    const unjudged = configOf("unjudged", "adapt");
    await expect(fit(unjudged, { ...options(), overwrite: false, onEvent: () => {} })).rejects.toThrow(
      /task (mnist|letters): .*, split adapt: expected labels, found an unlabelled split; .*data\.eval_split=null/,
    );
    const data = { eval_split: null, eval_tasks: ["mnist"], gradient_images: 4 };
    expect(() => parseRunConfig({ suite: folder, data })).toThrow(
      /data\.eval_tasks: expected null with data\.eval_split null.*data\.gradient_images: expected 0/s,
    );
  });

  it("shows entropies at the terminal, and refuses to rank a sweep by them", async () => {
    await mkdir(join(folder, "terminal"), { recursive: true });
    await writeFile(
      join(folder, "own.yaml"),
      stringify({ suite: ".", steps: 2, data: { adapt_split: "adapt", eval_split: null } }),
    );
    const { code, stdout, stderr } = await runCli(folder, ["fit", "own.yaml", "data.batch_size=4"]);
    expect(stderr).toMatch(/2 steps/);
    expect(stdout).toMatch(/^entropy \(nats\) +average +mnist +letters\n/);
    expect(code).toBe(0);
    await writeFile(
      join(folder, "sweep.yaml"),
      stringify({ config: "own.yaml", parameters: { "optimizer.learning_rate": [0.1, 0.2] } }),
    );
    const sweep = await runCli(folder, ["sweep", "sweep.yaml"]);
    expect(sweep.stderr).toContain("data.eval_split: expected a split with labels, since a sweep compares accuracies");
    expect(sweep.code).toBe(2);
  });
});
