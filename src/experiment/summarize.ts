/**
 * From the cells' results to the rows of a table: means over suites and seeds, intervals over images, comparison with weight averaging and
 * with the experts, the best step of a curve beside its end.
 */
import { readsLabels } from "../objective/catalog.js";
import type { CurvePoint } from "../report/figures/settings-curves.js";
import { chooseMethod } from "../run/choose-method.js";
import type { Cell } from "./cells.js";
import type { Reported } from "./experiment-file.js";
import type { CellResult } from "./results.js";
import { type Bootstrap, deviation, mean, meanOf } from "./statistics.js";
import { lastPart, type Point, pointText, valueText } from "./vary.js";

/** What a method must know. Ranks make sense only within one class. */
export type NeedsClass =
  | "reference"
  | "no data"
  | "unlabelled images"
  | "labels for settings"
  | "unlabelled images, labels for settings"
  | "labels for training"
  | "task identity"
  | "oracle";

export interface TableRow {
  readonly method: string;
  /** Where it stands on a curve; null where its row does not vary. */
  readonly point: Point | null;
  readonly setting: "published" | "val" | "oracle";
  readonly class: NeedsClass;
  /** What the row adapted on; null where nothing is adapted. */
  readonly adapted: string | null;
  /** Percent: mean over tasks, suites and seeds. */
  readonly average: number;
  /** 95 % bootstrap interval of the average over images. */
  readonly interval: readonly [number, number];
  /** Standard deviation of the average over suites and seeds, in points. */
  readonly deviation: number;
  /** Runs that the row is a mean of, and suites among them. */
  readonly runs: number;
  readonly suites: number;
  /** Lowest task's accuracy. */
  readonly worst: number;
  /** Mean over the tasks that have an expert of accuracy over the expert's, percent; null without the row `individual`. */
  readonly normalized: number | null;
  /** Difference to weight averaging in points with its paired bootstrap interval; null without that row. */
  readonly gain: { readonly points: number; readonly interval: readonly [number, number] } | null;
  /** Tasks below weight averaging. */
  readonly tasksBelow: number | null;
  /** Of a fit: the average along its steps, as the mean over runs; null of others. */
  readonly curve: readonly { readonly step: number; readonly average: number }[] | null;
  /** Of a fit: its best evaluated step, and how many points the end lies below it (chosen on the judged images, so an oracle's). */
  readonly best: { readonly step: number; readonly average: number; readonly regret: number } | null;
  readonly tasks: Readonly<Record<string, number>>;
  /** What others report, with ours less theirs in points: of the average, and of every task that they have. */
  readonly reported: readonly (Reported & {
    readonly difference: number | null;
    readonly differences: Readonly<Record<string, number>>;
  })[];
  /**
   * The experiment's averages over some of the tasks, percent; null where a row lacks one of them. Where tasks are judged that were not
   * merged, also `merged` and `left out`.
   */
  readonly averages: Readonly<Record<string, number | null>>;
  /** Mean over tasks of the predictions' entropy in nats, and of the expected calibration error in percent; null in results from before these were kept. */
  readonly entropy: number | null;
  readonly calibration: number | null;
  /** Place among the rows of its class on as many suites, the highest average first; null for references, oracles and rows that vary. */
  readonly rank: number | null;
  /** What labels were used for. */
  readonly labels: "nothing" | "settings" | "training" | "settings on the judged images";
  /** Unlabelled images presented to the objective per run, and how many of them are different (null as above). */
  readonly images: number;
  readonly imagesUnique: number | null;
  /** Stored beside one model; null as above. */
  readonly extraBytes: number | null;
  /** Of all runs of the row together. */
  readonly seconds: number;
  /** What was searched to choose the settings: judgements on labelled images. */
  readonly evaluations: number;
  /** Of the method, or what a search chose for a fit; defaults are left out. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface DoneCell {
  readonly cell: Cell;
  readonly result: CellResult;
}

/** The rows in the order of the cells; `averages` names tasks that are averaged by themselves. */
export function summarize(
  done: readonly DoneCell[],
  averages: Readonly<Record<string, readonly string[]>>,
  bootstrap: Bootstrap,
): TableRow[] {
  const groups = new Map<string, DoneCell[]>();
  for (const entry of done) {
    const { row, adaptation } = entry.cell;
    const key = JSON.stringify([row.name, row.setting, adaptation?.name, row.point]);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const all = [...groups.values()];
  return ranked(all.map((entries) => summarizeRow(entries, all, averages, bootstrap)));
}

/** The results of a method that a row is compared with: at the same point, else where nothing varies; on the row's suites. */
function referenceFor(
  entries: readonly DoneCell[],
  groups: readonly (readonly DoneCell[])[],
  method: string,
): CellResult[] | undefined {
  const suites = suitesOf(entries);
  const candidates = groups
    .filter(([first]) => first?.cell.row.method === method)
    .map((group) => group.filter(({ cell }) => suites.has(cell.suite)))
    .filter((group) => suitesOf(group).size === suites.size);
  const at = (point: Point | undefined) =>
    candidates.find(([first]) => JSON.stringify(first?.cell.row.point) === JSON.stringify(point));
  return (at(entries[0]?.cell.row.point) ?? at({}))?.map(({ result }) => result);
}

function suitesOf(entries: readonly DoneCell[]): ReadonlySet<string> {
  return new Set(entries.map(({ cell }) => cell.suite));
}

function summarizeRow(
  entries: readonly DoneCell[],
  groups: readonly (readonly DoneCell[])[],
  parts: Readonly<Record<string, readonly string[]>>,
  bootstrap: Bootstrap,
): TableRow {
  const [first] = entries;
  if (first === undefined) throw new RangeError("a row without results");
  const { row, adaptation } = first.cell;
  const results = entries.map(({ result }) => result);
  const tasks = meanTasks(results);
  const values = Object.values(tasks);
  const averages = results.map((result) => mean(Object.values(result.tasks)));
  const hits = hitsTN(results);
  const curve = meanCurve(results);
  const averaging = referenceFor(entries, groups, "weight_averaging");
  const experts = referenceFor(entries, groups, "individual");
  const individual = experts && meanTasks(experts);
  const isSameTasks = averaging !== undefined && Object.keys(tasks).join() === Object.keys(meanTasks(averaging)).join();
  return {
    method: row.name,
    point: Object.keys(row.point).length === 0 ? null : row.point,
    setting: row.setting,
    class: needsOf(first.cell),
    adapted: adaptation?.name ?? null,
    average: mean(averages),
    interval: bootstrap(hits),
    deviation: deviation(averages),
    runs: results.length,
    suites: suitesOf(entries).size,
    worst: Math.min(...values),
    normalized: individual
      ? mean(Object.entries(tasks).flatMap(([task, value]) => shareOf(value, individual[task])))
      : null,
    gain: isSameTasks ? gainOver(hits, hitsTN(averaging), bootstrap) : null,
    tasksBelow: averaging ? tasksBelow(tasks, meanTasks(averaging)) : null,
    curve,
    best: curve && bestStep(curve),
    tasks,
    reported: row.reported.map((theirs) => comparedWith(theirs, tasks, mean(averages))),
    averages: Object.fromEntries(
      Object.entries({ ...parts, ...mergedAndLeftOut(first.cell, Object.keys(tasks)) }).map(([name, members]) => [
        name,
        meanOrNull(members.map((task) => tasks[task])),
      ]),
    ),
    entropy: meanOrNull(results.map((result) => result.entropyNats && mean(Object.values(result.entropyNats)))),
    calibration: meanOrNull(
      results.map((result) => result.calibrationPercent && mean(Object.values(result.calibrationPercent))),
    ),
    rank: null,
    labels: labelsOf(first.cell),
    images: mean(results.map((result) => result.imagesPresented)),
    imagesUnique: meanOrNull(results.map((result) => result.imagesUnique)),
    extraBytes: meanOrNull(results.map((result) => result.extraBytes)),
    seconds: results.reduce((sum, result) => sum + result.seconds, 0),
    evaluations: row.evaluations,
    settings: row.settings,
  };
}

function comparedWith(
  reported: Reported,
  tasks: Readonly<Record<string, number>>,
  average: number,
): TableRow["reported"][number] {
  const differences = Object.entries(reported.tasks).flatMap(([task, theirs]): [string, number][] => {
    const ours = tasks[task];
    return ours === undefined ? [] : [[task, ours - theirs]];
  });
  const difference = reported.average === undefined ? null : average - reported.average;
  return { ...reported, difference, differences: Object.fromEntries(differences) };
}

/** The judged tasks that were merged and those that were not, where there are such. */
function mergedAndLeftOut({ config }: Cell, judged: readonly string[]): Record<string, readonly string[]> {
  const merged = config.tasks;
  if (merged === null || judged.every((task) => merged.includes(task))) return {};
  return {
    merged: judged.filter((task) => merged.includes(task)),
    "left out": judged.filter((task) => !merged.includes(task)),
  };
}

function needsOf({ row, config }: Cell): NeedsClass {
  if (row.setting === "oracle") return "oracle";
  if (row.fit !== undefined) {
    if (readsLabels(config.objective.name)) return "labels for training";
    return row.setting === "published" ? "unlabelled images" : "unlabelled images, labels for settings";
  }
  const chosen = chooseMethod(row.method ?? "", row.settings);
  if (chosen.kind === "reference") return "reference";
  if (chosen.method.perTask === true) return "task identity";
  if (chosen.method.needsImages === true)
    return row.setting === "published" ? "unlabelled images" : "unlabelled images, labels for settings";
  return row.setting === "published" ? "no data" : "labels for settings";
}

function labelsOf({ row, config }: Cell): TableRow["labels"] {
  if (row.setting === "oracle") return "settings on the judged images";
  if (row.fit !== undefined && readsLabels(config.objective.name)) return "training";
  return row.setting === "val" ? "settings" : "nothing";
}

/** Rows with their places, each within its class: what needs more is not compared with what needs less, nor points of curves with anything. */
function ranked(rows: readonly TableRow[]): TableRow[] {
  return rows.map((row) => {
    if (row.class === "reference" || row.class === "oracle" || row.point !== null) return row;
    const better = rows.filter(
      (other) =>
        other.class === row.class && other.suites === row.suites && other.point === null && other.average > row.average,
    );
    return { ...row, rank: better.length + 1 };
  });
}

/** In percent; nothing for a task that no expert was judged on. */
function shareOf(value: number, expert: number | undefined): number[] {
  return expert === undefined ? [] : [(100 * value) / expert];
}

function meanOrNull(values: readonly (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? mean(known) : null;
}

function meanTasks(results: readonly CellResult[]): Record<string, number> {
  const names = Object.keys(results[0]?.tasks ?? {});
  return Object.fromEntries(
    names.map((name) => [name, mean(results.map((result) => result.tasks[name] ?? Number.NaN))]),
  );
}

/** For each task 100 times the share of runs that had each image right. */
function hitsTN(results: readonly CellResult[]): Float64Array[] {
  return Object.keys(results[0]?.hits ?? {}).map((task) =>
    meanOf(results.map((result) => Float64Array.from(result.hits[task] ?? "", (digit) => (digit === "1" ? 100 : 0)))),
  );
}

function gainOver(
  hits: readonly Float64Array[],
  other: readonly Float64Array[],
  bootstrap: Bootstrap,
): NonNullable<TableRow["gain"]> {
  const differences = hits.map((values, task) => values.map((value, image) => value - (other[task]?.[image] ?? 0)));
  return { points: mean(differences.map((values) => mean([...values]))), interval: bootstrap(differences) };
}

function tasksBelow(tasks: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): number {
  return Object.entries(tasks).filter(([task, value]) => value < (other[task] ?? Number.NEGATIVE_INFINITY)).length;
}

/** The mean over the runs at every step that was evaluated. */
function meanCurve(results: readonly CellResult[]): TableRow["curve"] {
  const curves = results.flatMap(({ curve }) => (curve === undefined ? [] : [curve]));
  if (curves.length === 0) return null;
  const steps = [...new Set(curves.flatMap((curve) => curve.map(({ step }) => step)))].sort((a, b) => a - b);
  return steps.map((step) => ({
    step,
    average: mean(
      curves.flatMap((curve) => curve.filter((point) => point.step === step).map(({ average }) => average)),
    ),
  }));
}

/** Where the curve is highest, and how far its end lies below. */
function bestStep(curve: NonNullable<TableRow["curve"]>): TableRow["best"] {
  const top = curve.reduce((best, point) => (point.average > best.average ? point : best));
  return { ...top, regret: top.average - (curve.at(-1)?.average ?? top.average) };
}

/** The rows that vary as points of curves. */
export function curvePoints(rows: readonly TableRow[]): CurvePoint[] {
  return rows.flatMap((row) => {
    const [[key, value] = [], ...others] = Object.entries(row.point ?? {});
    if (key === undefined) return [];
    const names = [row.method, row.adapted, pointText(Object.fromEntries(others))];
    const parts = Object.entries(row.averages).flatMap(([name, part]): [string, number][] =>
      part === null ? [] : [[name, part]],
    );
    return {
      key: lastPart(key),
      x: valueText(value),
      series: names.filter((name) => name !== null && name !== "").join(" "),
      average: row.average,
      interval: row.interval,
      parts: Object.fromEntries(parts),
    };
  });
}
