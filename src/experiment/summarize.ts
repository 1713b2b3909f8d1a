/**
 * From the cells' results to the rows of a table: means over suites and seeds, intervals over images, comparison with weight averaging and
 * with the experts, the best step of a curve beside its end.
 */
import { type Bootstrap, deviation, mean, meanOf, pairedGain } from "../report/statistics.js";
import type { Cell } from "./cells.js";
import type { Reported } from "./experiment-file.js";
import { bestStep, meanCurve } from "./fit-curves.js";
import { labelsOf, needsOf } from "./needs.js";
import type { CellResult } from "./results.js";
import { examplesOf, type TableRow } from "./table-row.js";
import type { Point } from "./vary.js";

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
  const examples = examplesOf(results);
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
    class: needsOf(first.cell, examples),
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
    gain: isSameTasks ? pairedGain(hits, hitsTN(averaging), bootstrap) : null,
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
    labels: labelsOf(first.cell, examples),
    ...(results.every((result) => result.examples === undefined) ? {} : { examples }),
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

function tasksBelow(tasks: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): number {
  return Object.entries(tasks).filter(([task, value]) => value < (other[task] ?? Number.NEGATIVE_INFINITY)).length;
}
