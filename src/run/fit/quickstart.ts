/**
 * The first table: training-free models beside three fits, on a suite that ships with the project: AdaMerging task-wise and layer-wise, by
 * entropy as in the paper, and layer-wise on TSV-M's parts of the task vectors with the experts' soft labels. Every model is judged once.
 */
import { join } from "node:path";
import { flatConfig } from "../../config/flat.js";
import { loadRunConfig } from "../../config/load.js";
import type { RunConfig } from "../../config/schema.js";
import type { TrainEvent } from "../../optimize/events.js";
import { type ChangedExamples, EXAMPLES_FILE, examplesKind } from "../../report/changed-examples.js";
import type { LearnedGain } from "../../report/learned-gain.js";
import { writeQuickstartReport } from "../../report/quickstart-report.js";
import { AVERAGING, EXPERTS, type Summary } from "../../report/summary.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import { requireResultsPlace } from "../../runtime/output-place.js";
import { saidOnce } from "../../runtime/said-once.js";
import { chooseMethod } from "../judge/choose-method.js";
import { bestMerged, gainsOver } from "../judge/gains.js";
import { type Judged, judgeMethod } from "../judge/judge-models.js";
import { type SessionOptions, withSession } from "../session/session.js";
import { fit } from "./fit.js";

export interface QuickstartOptions extends SessionOptions {
  /** The quickstart config file. */
  readonly configPath: string;
  readonly presetsDir: string;
  readonly cwd: string;
  /** Overrides of the config, such as another suite. */
  readonly overrides: readonly string[];
  /** Directory of all runs. */
  readonly output: string;
  readonly onEvent: (event: TrainEvent) => void;
}

/** The comparison that `quickstart` makes: a table, what learning gained, and the examples that changed. */
export interface QuickstartResult {
  readonly summary: Summary;
  readonly gains: readonly LearnedGain[];
  /** What the last fit gained and lost against weight averaging. */
  readonly changed: ChangedExamples | undefined;
  /** Folder of the last fit, with its report and merged model. */
  readonly runPath: string;
  /** The page with all methods. */
  readonly reportPath: string;
}

const BASELINES = ["pretrained", EXPERTS, AVERAGING, "task_arithmetic", "tsv_m"] as const;

/** Run name -> what it changes in the config: overrides, or a preset whose way of learning it takes. */
const FITS: ReadonlyMap<string, { readonly overrides: readonly string[] } | { readonly preset: string }> = new Map([
  ["adamerging_task_wise", { overrides: ["granularity=task-wise"] }],
  ["adamerging_layer_wise", { overrides: ["granularity=layer-wise"] }],
  ["layer_wise_tsv_expert", { preset: "adamerge" }],
]);

/** Keys of a config that say what is learned and by which objective; steps, rate and data stay the quickstart's. */
const WAY_OF_LEARNING = /^(?:granularity|task_vectors|coefficients|objective|parametrisation)(?:\.|$)/;

/** How a preset's way of learning differs from the paper's, as overrides. */
async function wayOfLearning(preset: string, options: QuickstartOptions): Promise<string[]> {
  const settingsOf = async (name: string) =>
    flatConfig((await loadRunConfig(join(options.presetsDir, `${name}.yaml`), ["suite=."], options)).config);
  const [own, paper] = [await settingsOf(preset), await settingsOf("paper")];
  return [...own]
    .filter(([key, text]) => WAY_OF_LEARNING.test(key) && paper.get(key) !== text)
    .map(([key, text]) => `${key}=${text}`);
}

/** The last one: its report is written (`adamerge report` makes the others'), and its examples are shown. */
const SHOWN_FIT = [...FITS.keys()].at(-1);

/** Runs everything, each fit in `<output>/quickstart/<method>`, and writes `<output>/quickstart/summary.json` and `report.html`. */
export async function quickstart(options: QuickstartOptions): Promise<QuickstartResult> {
  const started = performance.now();
  const directory = join(options.output, "quickstart");
  await requireResultsPlace(directory, ["summary.json", "report.html"], (name) => FITS.has(name));
  const configFor = async (name: string, overrides: readonly string[]): Promise<RunConfig> => {
    const all = [...options.overrides, ...overrides, "experiment=quickstart", `name=${name}`];
    const { config } = await loadRunConfig(options.configPath, all, options);
    return { ...config, output: options.output };
  };
  // All fits read the same examples.
  const noticeOnce = saidOnce(options.log);
  const log = (line: string) => (line.startsWith("notice:") ? noticeOnce(line) : options.log(line));
  const once = { ...options, log };
  const { judged, ...where } = await judgeBaselines(await configFor("baselines", []), once);
  const learned: Judged[] = [];
  const fits: string[] = [];
  let runPath = directory;
  for (const [name, changes] of FITS) {
    log(`\n${name}`);
    const save_report = name === SHOWN_FIT;
    const overrides = "preset" in changes ? await wayOfLearning(changes.preset, options) : changes.overrides;
    const config = { ...(await configFor(name, overrides)), save_report };
    const result = await fit(config, { ...once, overwrite: true, compared: judged });
    if (result.reason === "interrupted") options.signal.throwIfAborted();
    learned.push(...result.judged.slice(judged.length));
    runPath = result.runPath;
    fits.push(runPath);
  }
  const rows = [...judged, ...learned].map(({ row }) => row);
  // The last fit is the one that is to be the best.
  const best = bestMerged(judged) ?? AVERAGING;
  const gains = [
    ...gainsOver(AVERAGING, judged, learned),
    ...(best === AVERAGING ? [] : gainsOver(best, judged, learned.slice(-1))),
  ];
  const changed = await readJsonFileIfThere(join(runPath, EXAMPLES_FILE), examplesKind);
  const summary: Summary = { ...where, seconds: (performance.now() - started) / 1000, rows };
  await writeFileAtomic(join(directory, "summary.json"), `${JSON.stringify({ ...summary, gains }, undefined, 2)}\n`);
  const reportPath = await writeQuickstartReport(directory, { summary, gains, changed, fits });
  return { summary, gains, changed, runPath, reportPath };
}

async function judgeBaselines(config: RunConfig, options: QuickstartOptions) {
  return withSession(config, options, async ({ inputs, evaluation, engine }) => {
    const judged: Judged[] = [];
    for (const method of BASELINES) {
      const one = await judgeMethod(config, inputs, chooseMethod(method), evaluation);
      const { row } = one;
      options.log(`${method}: ${row.average.toFixed(2)}${row.measure === undefined ? " %" : " nats of entropy"}`);
      judged.push(one);
    }
    return { judged, suite: inputs.suite.name, engine: engine.name, device: engine.device };
  });
}
