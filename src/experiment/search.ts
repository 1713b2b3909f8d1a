/**
 * The search behind a table's settings: every combination of a row's grid is judged on val, which chooses, and on the judged images, which
 * shows what choosing there would have given. One budget for all rows; for a fit, numbers of steps are settings and cost no
 * fits of their own. On the first suite and seed. What is judged is kept on disk, so that a search that was stopped goes on.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { requireEvalSplit } from "../config/judged-split.js";
import { loadRunConfig } from "../config/load.js";
import type { RunConfig } from "../config/schema.js";
import { ConfigError } from "../errors.js";
import { createKeptChanges, type KeptChanges } from "../merge/methods/kept-changes.js";
import { stepsAsPiece, type TrainEvent } from "../optimize/events.js";
import { fit } from "../run/fit/fit.js";
import { chooseMethod } from "../run/judge/choose-method.js";
import { prepareMethod } from "../run/judge/judge-models.js";
import { loadLabelled } from "../run/session/inputs.js";
import { type SessionOptions, withSession } from "../run/session/session.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { type LoadCellsOptions, silent, unusualSettings } from "./cells.js";
import { bestBy, type Candidate, type ChosenSettings } from "./chosen-settings.js";
import { evolveRow } from "./evolve.js";
import type { Experiment, ExperimentRow } from "./experiment-file.js";
import { readKept } from "./kept-file.js";
import { looksAtImages, overridesOf } from "./table-lines.js";
import { combinations } from "./vary.js";

/** The one setting of fits that a single fit tries all values of. */
const STEPS = "steps";

/** Settings that are judged together: one method's, or one fit's at several steps. */
interface Trial {
  readonly row: ExperimentRow;
  /** Without the steps. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Of a fit, ascending. */
  readonly steps: readonly number[];
  /** Judged on val. */
  readonly config: RunConfig;
  /** The split that is judged besides. */
  readonly judgedSplit: string;
  readonly key: string;
}

const trialSchema = z.object({
  candidates: z.array(z.object({ settings: z.record(z.string(), z.unknown()), val: z.number(), judged: z.number() })),
  seconds: z.number(),
});
type TrialResult = z.output<typeof trialSchema>;

/** What a row's record stands for: its search on this suite with this config. */
export async function searchKey(
  experiment: Experiment,
  row: ExperimentRow,
  options: LoadCellsOptions,
): Promise<string> {
  const suite = firstSuite(experiment, row);
  const overrides = [
    ...row.overrides,
    ...(row.fit ?? []),
    ...options.overrides,
    `suite=${suite}`,
    `seed=${experiment.seeds[0] ?? 0}`,
  ];
  const { config } = await loadRunConfig(experiment.config, overrides, options);
  requireLadder(row, config);
  const fingerprint = await options.suiteFingerprint(suite, row.method);
  return hashOf([
    fingerprint,
    row.method,
    row.settings,
    row.evolve ?? row.search,
    experiment.search,
    unusualSettings(config),
  ]);
}

/** Searches the settings of one row. Throws when the signal aborts; what was judged until then is kept in `trialsDir`. */
export async function searchRow(
  experiment: Experiment,
  row: ExperimentRow,
  options: LoadCellsOptions & SessionOptions,
  trialsDir: string,
): Promise<ChosenSettings> {
  const key = await searchKey(experiment, row, options);
  if (row.evolve !== undefined) {
    const suite = firstSuite(experiment, row);
    const { candidates, seconds } = await evolveRow(experiment, row, row.evolve, suite, options, trialsDir);
    return { key, val: bestBy(candidates, "val"), oracle: bestBy(candidates, "judged"), candidates, seconds };
  }
  const trials = await loadTrials(experiment, row, options);
  const candidates: Candidate[] = [];
  const changes = createKeptChanges();
  let seconds = 0;
  for (const [index, trial] of trials.entries()) {
    options.signal.throwIfAborted();
    const file = path.join(trialsDir, `${trial.key}.json`);
    const result =
      (await readKept(file, { what: "the trial of a search", schema: trialSchema }, options.log)) ??
      (await runTrial(trial, options, changes));
    await writeFileAtomic(file, `${JSON.stringify(result)}\n`);
    candidates.push(...result.candidates);
    seconds += result.seconds;
    const best = Math.max(...result.candidates.map(({ val }) => val));
    options.log(
      `  [${index + 1}/${trials.length}] ${trial.key}: ${best.toFixed(2)} % on ${experiment.search.eval_split} (${result.seconds.toFixed(0)} s)`,
    );
  }
  return { key, val: bestBy(candidates, "val"), oracle: bestBy(candidates, "judged"), candidates, seconds };
}

async function loadTrials(experiment: Experiment, row: ExperimentRow, options: LoadCellsOptions): Promise<Trial[]> {
  const { [STEPS]: steps, ...grid } = row.search ?? {};
  const isFit = row.fit !== undefined;
  const suite = firstSuite(experiment, row);
  const fingerprint = await options.suiteFingerprint(suite, row.method);
  const { adapt_split: adaptSplit, eval_split: evalSplit, eval_limit: evalLimit } = experiment.search;
  const trials: Trial[] = [];
  for (const found of combinations(isFit ? grid : (row.search ?? {}))) {
    const adapted = looksAtImages(row) ? [`data.adapt_split=${adaptSplit}`] : [];
    const overrides = [
      ...row.overrides,
      ...(row.fit ?? []),
      ...adapted,
      ...(isFit ? overridesOf(found) : []),
      ...options.overrides,
    ];
    const { config } = await loadRunConfig(
      experiment.config,
      [...overrides, `suite=${suite}`, `seed=${experiment.seeds[0] ?? 0}`],
      options,
    );
    requireLadder(row, config);
    const ladder = isFit ? (steps ?? [config.steps]).map(Number).sort((a, b) => a - b) : [];
    const data = {
      ...config.data,
      eval_split: evalSplit,
      eval_every: ladder.reduce(greatestCommonDivisor, 0),
      ...(evalLimit === undefined ? {} : { eval_limit: evalLimit }),
    };
    const onVal = { ...config, data, ...(isFit ? { steps: ladder.at(-1) ?? config.steps } : {}) };
    const settings = { ...row.settings, ...found };
    const judgedSplit = requireEvalSplit(config, "an experiment");
    const key = `${row.name}-search-${hashOf([fingerprint, row.method, settings, judgedSplit, ladder, unusualSettings(onVal)])}`;
    trials.push({ row, settings, steps: ladder, config: silent(onVal, experiment, key, options), judgedSplit, key });
  }
  return trials;
}

/** Throws ConfigError for steps that are searched of a fit whose stages say how many there are. */
function requireLadder({ name, search }: ExperimentRow, { stages }: RunConfig): void {
  if (stages === null || search?.[STEPS] === undefined) return;
  throw new ConfigError(
    `row ${name}: search.steps: expected none with stages, which say their own steps, found ${JSON.stringify(search[STEPS])}; list whole \`stages\` in its place`,
  );
}

/** `changes` are of the row's method and model. */
function runTrial(trial: Trial, options: SessionOptions, changes: KeptChanges): Promise<TrialResult> {
  return trial.row.fit === undefined ? judgeOnBoth(trial, options, changes) : fitAndJudge(trial, options);
}

async function judgeOnBoth(
  { row, settings, config, judgedSplit }: Trial,
  options: SessionOptions,
  changes: KeptChanges,
): Promise<TrialResult> {
  const started = performance.now();
  const chosen = chooseMethod(row.method ?? "", settings);
  return withSession(config, { ...options, log: () => {} }, async ({ inputs, evaluation }) => {
    const examples = await loadLabelled(inputs, inputs.judged, judgedSplit, options.cacheDir);
    const judge = await prepareMethod(config, inputs, chosen, { ...evaluation, changes });
    const val = await judge(evaluation);
    const judged = await judge({ ...evaluation, examples });
    const candidate = { settings, val: val.row.average, judged: judged.row.average };
    return { candidates: [candidate], seconds: (performance.now() - started) / 1000 };
  });
}

/** One fit that is judged as it goes, on val and at the same steps on the other split: what it learns need not be kept, which may be weights. */
async function fitAndJudge(trial: Trial, options: SessionOptions): Promise<TrialResult> {
  const { settings, steps, config, judgedSplit } = trial;
  const started = performance.now();
  const silently = { ...options, log: () => {} };
  const onVal = new Map<number, number>();
  const onOther = new Map<number, number>();
  const tellSteps = stepsAsPiece(options.onProgress, `fitting ${trial.row.name}`);
  const onEvent = (event: TrainEvent): void => {
    tellSteps(event);
    if (event.type === "evaluation" && event.labelled !== undefined)
      onVal.set(event.step, event.labelled.averagePercent);
  };
  const beside = { split: judgedSplit, steps, onJudged: (step: number, average: number) => onOther.set(step, average) };
  const { judged } = await fit(config, { ...silently, overwrite: true, compared: [], onEvent, beside });
  options.signal.throwIfAborted();
  const [learned] = judged;
  if (learned === undefined) throw new Error("the fit ended without a result");
  // The end of a fit is judged by itself.
  onVal.set(config.steps, learned.row.average);
  const candidates = steps.map((step): Candidate => {
    const [val, other] = [onVal.get(step), onOther.get(step)];
    if (val === undefined || other === undefined) throw new Error(`the fit was not judged after step ${step}`);
    return { settings: { ...settings, [STEPS]: step }, val, judged: other };
  });
  return { candidates, seconds: (performance.now() - started) / 1000 };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function firstSuite({ suites }: Experiment, row: ExperimentRow): string {
  return (row.suites ?? suites)[0] ?? "";
}

function hashOf(facts: unknown): string {
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 12);
}
