/**
 * What there is for images does on texts what it does on them: every method and every objective once on a tiny suite of texts, a fit that is stopped
 * and goes on, what is saved, and the words of what a person sees.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { loadRunConfig } from "../../../src/config/load.js";
import { mergeMethods } from "../../../src/merge/methods/registry.js";
import { objectiveFacts } from "../../../src/objective/catalog.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { fit } from "../../../src/run/fit/fit.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { listHeads } from "../../../src/run/heads/heads-folder.js";
import { chooseMethod, REFERENCES } from "../../../src/run/judge/choose-method.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { judgeMethod } from "../../../src/run/judge/judge-models.js";
import { withSession } from "../../../src/run/session/session.js";
import { parseCoefficients } from "../../../src/track/coefficients-file.js";
import { createConsole } from "../../../src/track/console.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

const TASKS = Object.keys(TEXT_TASKS);
let root: string;
/** A fit with all that it leaves, and what its console showed. */
let whole: Awaited<ReturnType<typeof run>>;
let shown = "";
beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
  const screen = createConsole({ stream: { write: (line: string) => (shown += line) }, color: false });
  whole = await run("whole", FIT, { onEvent: screen.show, log: screen.log });
}, 60_000);

const FIT = ["steps=5", "data.eval_every=2", "checkpoint_every=2", "data.adapt_limit=8"];
const BARE = ["save_model=false", "save_report=false"];

async function configOf(...overrides: string[]) {
  const presetsDir = join(ROOT, "configs", "presets");
  return (await loadRunConfig(join(root, "config.yaml"), overrides, { presetsDir, cwd: root })).config;
}

const work = (log: (line: string) => void = () => {}, signal = new AbortController().signal) => ({
  cacheDir: join(root, "cache"),
  signal,
  log,
});

interface Stop {
  readonly after?: number;
  readonly onEvent?: (event: TrainEvent) => void;
  readonly log?: (line: string) => void;
}

async function run(name: string, overrides: readonly string[], { after, onEvent, log }: Stop = {}) {
  const config = await configOf(`name=${name}`, ...overrides);
  const abort = new AbortController();
  const events = (event: TrainEvent) => {
    onEvent?.(event);
    if (event.type === "step" && event.step === after) abort.abort();
  };
  return { config, ...(await fit(config, { ...work(log, abort.signal), overwrite: false, onEvent: events })) };
}

const text = (...path: string[]) => readFile(join(...path), "utf8");

/** Small numbers for what takes long at its defaults; `linear` has none for its weights. */
const SETTINGS: Readonly<Record<string, unknown>> = { examples: 6, steps: 5, iterations: 2, weights: [0.4, 0.2] };
/** With the processing of task vectors that each is tried over, and the examples on which gradients are compared. */
const OBJECTIVES = [
  ["entropy", "none", 4],
  ["normalized_entropy", "ties", 0],
  ["expert_divergence", "consensus", 0],
  ["pseudo_label", "iso_cts", 0],
  ["feature_l1", "svc", 0],
  ["feature_l2", "pcb", 0],
  ["cross_entropy", "tsv", 0],
] as const;
const MADE_WITHOUT_MERGING = REFERENCES.filter((name) => name !== "multi_task");

/** What the report shows of gained and lost texts is what the predictions say. */
async function expectChanged(runPath: string, page: string) {
  const { tasks, before, after } = JSON.parse(await text(runPath, "examples.json"));
  expect([before, after]).toEqual(["weight_averaging", "adamerging_layer_wise"]);
  const { methods } = JSON.parse(await text(runPath, "predictions.json"));
  for (const { task, gained, lost, examples, gainedExamples, lostExamples } of tasks) {
    expect(page).toContain(`${task}: ${gained} gained, ${lost} lost of ${examples}`);
    expect(gainedExamples).toHaveLength(Math.min(3, gained));
    expect(lostExamples).toHaveLength(Math.min(3, lost));
    for (const { row, label, before: was, after: is, text: shownText } of [...gainedExamples, ...lostExamples]) {
      expect(was === label).not.toBe(is === label);
      expect(methods[before][task][row]).not.toBe(methods[after][task][row]);
      expect(page).toContain(shownText);
    }
  }
}

describe("on texts", () => {
  it("every training-free method gives a model that is neither the base nor without numbers", async () => {
    const config = await configOf();
    await withSession(config, work(), async ({ inputs, evaluation }) => {
      const entropies = async (name: string, settings: Readonly<Record<string, unknown>> = {}) => {
        const { evaluations } = await judgeMethod(config, inputs, chooseMethod(name, settings), evaluation);
        return [...evaluations].map(([task, { entropyNats }]) => [task, entropyNats] as const);
      };
      const base = new Map(await entropies("pretrained"));
      expect([...base.keys()]).toEqual(TASKS);
      for (const name of [...MADE_WITHOUT_MERGING, ...mergeMethods.keys()]) {
        const known = Object.keys(mergeMethods.get(name)?.parameters.shape ?? {});
        const settings = Object.fromEntries(Object.entries(SETTINGS).filter(([key]) => known.includes(key)));
        for (const [task, entropy] of await entropies(name, settings)) {
          expect(entropy, `${name}, ${task}`).toBeGreaterThan(0);
          expect(entropy, `${name}, ${task}`).toBeLessThan(Math.log(3));
          if (name !== "pretrained") expect(entropy, `${name}, ${task}`).not.toBeCloseTo(base.get(task) ?? 0, 7);
        }
      }
    });
  });

  it.each(OBJECTIVES)(
    "%s is minimised, over task vectors with the processing %s",
    async (name, processing, gradient) => {
      const losses: number[] = [];
      const onEvent = (event: TrainEvent) => {
        if (event.type === "step") losses.push(event.loss);
      };
      const overrides = [`task_vectors.processing=${processing}`, `data.gradient_images=${gradient}`, ...BARE];
      const { coefficients, table } = await run(name, [`objective.name=${name}`, ...overrides], { onEvent });
      expect(losses).toHaveLength(2);
      for (const loss of losses) expect(Number.isFinite(loss)).toBe(true);
      const moved = coefficients.flat().filter((value) => Math.abs(value - 0.3) > 0.01);
      expect(moved.length).toBeGreaterThan(coefficients.flat().length / 2);
      for (const { tasks } of table) expect(Object.keys(tasks)).toEqual(TASKS);
    },
  );

  it("no objective is forgotten", () => {
    expect(OBJECTIVES.map(([name]) => name).sort()).toEqual(Object.keys(objectiveFacts).sort());
  });

  it("a fit that was stopped ends as one that was not, to the bit", async () => {
    const stopped = await run("stopped", [...FIT, ...BARE], { after: 3 });
    expect([whole.reason, stopped.reason]).toEqual(["finished", "interrupted"]);
    const { config } = await stoppedRun(stopped.runPath);
    const options = { ...work(), overwrite: false, onEvent: () => {}, resume: stopped.runPath };
    expect((await fit(config, options)).table).toEqual(whole.table);
    for (const file of ["coefficients.json", "predictions.json", "trajectory.jsonl"])
      expect(await text(stopped.runPath, file), file).toBe(await text(whole.runPath, file));
  });

  it("what is saved is what the base is: its config, its names and shapes, its other tensors, its tokenizer", async () => {
    const { runPath, config } = whole;
    const merged = join(root, "merged");
    await mergeToDirectory(config, join(runPath, "coefficients.json"), merged, work());
    const base = join(root, "models", "base");
    const described = async (folder: string) => {
      const { tensors } = await openCheckpoint(folder);
      return [...tensors.values()].map(({ name, dtype, shape }) => [name, dtype, [...shape]]).sort();
    };
    for (const folder of [join(runPath, "model"), merged]) {
      expect(await described(folder)).toEqual(await described(base));
      for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"])
        expect(await text(folder, file), file).toBe(await text(base, file));
    }
    const [saved, own, ...experts] = await Promise.all(
      [join(runPath, "model"), base, ...TASKS.map((task) => join(root, "models", task))].map((path) =>
        openCheckpoint(path),
      ),
    );
    const { values, groups, groupOf } = parseCoefficients(await text(runPath, "coefficients.json"), "coefficients");
    for (const name of ["embeddings.word_embeddings.weight", "pooler.dense.weight"]) {
      const column = groups.indexOf(groupOf[name] ?? "");
      const theta0 = await own?.readFloat32(name);
      const theirs = await Promise.all(experts.map((expert) => expert.readFloat32(`bert.${name}`)));
      const sum = theta0?.map((value, at) =>
        theirs.reduce((all, theta, k) => all + (values[k]?.[column] ?? 0) * ((theta[at] ?? 0) - value), value),
      );
      const found = await saved?.readFloat32(name);
      expect(Math.max(...(found ?? []).map((value, at) => Math.abs(value - (sum?.[at] ?? 0))))).toBeLessThan(1e-6);
    }
  });

  it("corruptions of texts change what is judged, and those of images are refused by name", async () => {
    const judge = async (...overrides: string[]) => {
      const method = { kind: "method", name: "weight_averaging", settings: {} } as const;
      return evaluateMethod(await configOf(...overrides), method, work());
    };
    const [clean, corrupted] = [await judge(), await judge("data.corruption=dropped_words", "data.eval_split=null")];
    expect(Object.keys(clean.predictions.methods.weight_averaging ?? {})).toEqual(TASKS);
    const entropies = await judge("data.eval_split=null");
    for (const task of TASKS) expect(corrupted.row.tasks[task]).not.toBe(entropies.row.tasks[task]);
    await expect(judge("data.corruption=pixelate")).rejects.toThrow(
      /data\.corruption: expected one for texts \(typos, dropped_words, swapped_words\) or none, found pixelate/,
    );
    const learned = await run("corrupted", ["data.corruption=swapped_words", "steps=1", ...BARE]);
    expect(learned.coefficients).not.toEqual((await run("clean", ["steps=1", ...BARE])).coefficients);
  });
});

describe("what a person sees of texts", () => {
  it("calls them texts: init", async () => {
    const experts = TASKS.map((task) => `--expert ${task}=models/${task} --texts ${task}=texts/${task}`).join(" ");
    const { code, stdout, stderr } = await runInProcess(root, `init new --base models/base ${experts}`, {
      ADAMERGE_CACHE: join(root, "cache"),
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/\ntexts +classes +head +for head +adapt +val +test\n.*\nthirds +3 +classifier +- +12 +/);
    expect(stdout).toMatch(/for a step of \d+ texts, padded to 20 at most.*\n.*\n.*judging all texts once/);
    // The classifiers are the tasks' heads, not left out.
    expect(stderr).not.toContain("left out");
    expect(stderr).toContain("of its own texts, a constant answer on");
    expect(stdout + stderr).not.toMatch(/image/i);
  });

  it("calls them texts: console, report, model card, environment and checkpoints", async () => {
    const { runPath } = whole;
    expect(shown).toMatch(/5 steps of 8 texts, minimising entropy \(nats\)\n.*\nstep 1\/5 .* texts\/s /);
    expect(shown).not.toMatch(/image/i);
    const [card = "", configured] = (await text(runPath, "README.md")).split("## Settings");
    expect(configured).toBeDefined();
    expect(card).toContain("Adapted on the texts (at most 8 per task, no labels) of the `adapt` split");
    expect(card).toContain("Heads lie in `heads/` beside the weights");
    expect([...(await listHeads(join(runPath, "model"))).keys()]).toEqual(TASKS);
    expect(card).toContain("the classifiers that their experts were saved with: thirds");
    expect(card).not.toMatch(/image/i);
    const report = (await text(runPath, "report.html")).replaceAll(/<svg.*?<\/svg>/gs, "");
    const [page = ""] = report.split('id="config"');
    expect(page).toMatch(
      /Learned from \d+ texts of the split <code>adapt<\/code> \(at most 8 texts per task\), without their labels; judged on \d+ texts of the split <code>test/,
    );
    expect(page).toContain("order from the texts to the features");
    expect(page).toMatch(/texts per task and step.*texts per second, median/s);
    expect(page).not.toMatch(/images/i);
    await expectChanged(runPath, page);
    expect(JSON.parse(await text(runPath, "environment.json"))).toMatchObject({ examples: "texts" });
    const { inputs } = JSON.parse(await text(runPath, "checkpoints", "step-000004", "state.json"));
    expect(Object.keys(inputs)).toEqual(expect.arrayContaining(TASKS.map((task) => `texts of ${task}`)));
  });
});
