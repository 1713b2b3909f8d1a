/**
 * Makes an experiment's table: computes the cells that are not on disk, one after another, and writes the table after each row, so that
 * an interrupted reproduction goes on where it was and shows what it has.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Hub } from "../checkpoint/hub/request.js";
import { zeroShotOf } from "../data/head-recipes.js";
import { openSuite } from "../data/suite.js";
import { ConfigError } from "../errors.js";
import { writeExperimentReport } from "../report/experiment-report.js";
import { createBootstrap } from "../report/statistics.js";
import type { SessionOptions } from "../run/session/session.js";
import { commitOf } from "../run/suite/suite-sources.js";
import { requireResultsPlace } from "../runtime/output-place.js";
import { readBytes, streamRegular } from "../runtime/regular-file.js";
import { type Cell, type LoadCellsOptions, loadCells } from "./cells.js";
import { type ChosenSettings, readChosen, writeChosen } from "./chosen-settings.js";
import { computeCells } from "./compute-cells.js";
import { type Experiment, type ExperimentRow, isSearched, openExperiment } from "./experiment-file.js";
import { curvePoints } from "./fit-curves.js";
import { orderAgreement, orderText } from "./method-order.js";
import { onSuite } from "./other-suite.js";
import { readResult } from "./results.js";
import { searchKey, searchRow } from "./search.js";
import { type DoneCell, summarize } from "./summarize.js";
import { type ExperimentTable, labelOf, writeTable } from "./table-files.js";
import { overridesOf, tableLines } from "./table-lines.js";
import { examplesOf } from "./table-row.js";
import { pointText } from "./vary.js";

export interface ReproduceOptions extends SessionOptions {
  /** Name or file of the experiment. */
  readonly experiment: string;
  readonly experimentsDir: string;
  /** A suite (absolute path) for all rows, instead of the experiment's own. */
  readonly suite?: string;
  readonly presetsDir: string;
  readonly cwd: string;
  readonly overrides: readonly string[];
  /** Directory of all runs. */
  readonly output: string;
  /** Cells at the same time, in processes that share the cores; 1: in this process. */
  readonly jobs: number;
  /** Say what would be computed, and compute nothing. */
  readonly dryRun: boolean;
  /** Search the settings here, instead of taking those that came with the experiment. */
  readonly search: boolean;
}

/** What is written beside the cells. */
const RESULT_FILES = ["table.json", "table.md", "table.csv", "table.tex", "report.html", "settings.json"];

/** What `reproduce` made: the table, where it lies, and how many of its cells were computed. */
export interface Reproduction {
  readonly directory: string;
  readonly table: ExperimentTable;
  /** Cells computed now, kept from before, and not done because of an interruption or a dry run. */
  readonly computed: number;
  readonly kept: number;
  readonly missing: number;
  /** Those that were missing, in their order. */
  readonly planned: readonly PlannedCell[];
}

/** A model that is to be made and judged. */
export interface PlannedCell {
  /** The name of its files. */
  readonly key: string;
  readonly row: string;
  /** Whose settings: "published", "val", "oracle". */
  readonly setting: string;
  /** What it adapts on; null where it adapts to nothing. */
  readonly adapted: string | null;
  readonly suite: string;
  readonly seed: number;
  /** Of the method, or overrides of the config. */
  readonly settings: string;
}

/** Computes what is missing and returns the table of what there is. An abort ends it after the cell under way is dropped. */
export async function reproduce(options: ReproduceOptions): Promise<Reproduction> {
  const described = await openExperiment(options.experiment, options.experimentsDir, options.cwd);
  const experiment = options.suite === undefined ? described : await onSuite(described, options.suite);
  const directory = path.join(options.output, experiment.name);
  await requireResultsPlace(directory, RESULT_FILES, async (name, text) => {
    // A table of reported numbers alone has no cells.
    if (name === "table.json") return (await text()).includes('"experiment"');
    return name === "cells" || name === "search";
  });
  const cellOptions = { ...options, suiteFingerprint: fingerprints(options.hub) };
  const chosen = await settingsOf(experiment, directory, cellOptions);
  const cells = await loadCells(experiment, tableLines(experiment, chosen), cellOptions);
  const cellsDir = path.join(directory, "cells");
  const kept = new Map<string, DoneCell>();
  for (const cell of cells) {
    const result = await readResult(cellsDir, cell.key, options.log);
    if (result !== undefined) kept.set(cell.key, { cell, result });
  }
  // Lines with the same settings share their results.
  const missing = [...new Map(cells.map((cell) => [cell.key, cell])).values()].filter(({ key }) => !kept.has(key));
  options.log(`${experiment.name}: ${cells.length} cells, ${kept.size} on disk, ${missing.length} to compute`);
  const done = new Map(kept);
  const bootstrap = createBootstrap();
  const table = (): ExperimentTable => {
    const { name, title, averages, order } = experiment;
    const rows = summarize(
      cells.flatMap((cell) => withResult(cell, done.get(cell.key))),
      averages,
      bootstrap,
    );
    return { experiment: name, title, rows, ...(order.length === 0 ? {} : { order: orderAgreement(rows, order) }) };
  };
  const computed = options.dryRun
    ? 0
    : await computeCells(missing, cellsDir, done, options, () => writeTable(directory, table()));
  const result = table();
  if (result.rows.length > 0 && !options.dryRun) {
    await writeTable(directory, result);
    await writeExperimentReport(directory, {
      title: result.title,
      rows: result.rows.map((row) => ({ ...row, label: labelOf(row), curve: row.curve ?? [] })),
      points: curvePoints(result.rows),
      note: orderText(result.order ?? []),
      examples: examplesOf(result.rows),
      file: await readFile(experiment.path, "utf8"),
    });
  }
  const planned = missing.map(plannedCell);
  return { directory, table: result, computed, kept: kept.size, missing: missing.length - computed, planned };
}

function plannedCell({ key, row, adaptation, suite, seed }: Cell): PlannedCell {
  const settings = row.fit ?? overridesOf(row.settings);
  const varied = pointText(row.point);
  return {
    ...{ key, row: varied === "" ? row.name : `${row.name} ${varied}`, setting: row.setting },
    ...{ adapted: adaptation?.name ?? null, suite, seed },
    settings: [...row.overrides, ...settings].join(" "),
  };
}

function withResult(cell: Cell, found: DoneCell | undefined): DoneCell[] {
  return found === undefined ? [] : [{ cell, result: found.result }];
}

/**
 * The settings of rows with a search: those that were searched here, and else those that came with the experiment. Throws ConfigError when a
 * row has none for its search as it stands now; with `search` they are made.
 */
async function settingsOf(
  experiment: Experiment,
  directory: string,
  options: ReproduceOptions & LoadCellsOptions,
): Promise<Map<string, ChosenSettings>> {
  const unlessAborted = (error: unknown): undefined => {
    if (!options.signal.aborted) throw error;
  };
  const ownFile = path.join(directory, "settings.json");
  const shippedFile = path.join(path.dirname(experiment.path), "settings", `${experiment.name}.json`);
  const own = await readChosen(ownFile);
  const shipped = options.search ? new Map<string, ChosenSettings>() : await readChosen(shippedFile);
  const settings = new Map<string, ChosenSettings>();
  const lacking: string[] = [];
  const rows: [ExperimentRow, string][] = [];
  // All keys first: a row whose search cannot be is refused before the others are searched.
  for (const row of experiment.rows) if (isSearched(row)) rows.push([row, await searchKey(experiment, row, options)]);
  for (const [row, key] of rows) {
    // What came with the experiment was searched without overrides, and is taken with any.
    const shippedKey = await searchKey(experiment, row, { ...options, overrides: [] });
    const found = ofKey(own.get(row.name), key) ?? ofKey(shipped.get(row.name), shippedKey);
    if (found !== undefined) settings.set(row.name, found);
    else if (!options.search) lacking.push(row.name);
    else if (!options.dryRun) {
      options.log(`searching the settings of ${row.name}`);
      const record = await searchRow(experiment, row, options, path.join(directory, "search")).catch(unlessAborted);
      if (record === undefined) return settings;
      settings.set(row.name, record);
      await writeChosen(ownFile, experiment.name, own.set(row.name, record));
    }
  }
  if (lacking.length > 0)
    throw new ConfigError(
      `${experiment.path}: expected settings that were searched for ${lacking.join(", ")} in ${shippedFile}, found none for the search as it stands; --search searches them (resumable, and recorded)`,
    );
  return settings;
}

function ofKey(record: ChosenSettings | undefined, key: string): ChosenSettings | undefined {
  return record?.key === key ? record : undefined;
}

/**
 * Fingerprints of what a method reads of a suite, by the names and contents of its files, so that results stand on every machine.
 * Each suite is looked at once; only the row of the multi-task model depends on that model.
 */
function fingerprints(hub: Hub | undefined): (suite: string, method: string | undefined) => Promise<string> {
  const known = new Map<string, Promise<string>>();
  return (suite, method) => {
    const withMultitask = method === "multi_task";
    const key = JSON.stringify([suite, withMultitask]);
    const found = known.get(key) ?? suiteFingerprint(suite, withMultitask, hub);
    known.set(key, found);
    return found;
  };
}

async function suiteFingerprint(suitePath: string, withMultitask: boolean, hub: Hub | undefined): Promise<string> {
  const suite = await openSuite(suitePath);
  const paths = [
    suite.base,
    ...(withMultitask ? [suite.multitask] : []),
    ...(suite.tasks.some(({ head }) => zeroShotOf(head) !== undefined) ? [suite.textModel] : []),
    ...suite.tasks.flatMap(({ expert, head, dataset }) => [
      expert,
      typeof head === "string" ? head : undefined,
      dataset,
    ]),
  ];
  const hash = createHash("sha256");
  for (const file of [suite.path, ...suite.definitions]) hash.update(await readBytes(file, "a suite", MAX_SUITE_BYTES));
  for (const root of paths) {
    if (root === undefined) continue;
    // A commit says what is in a repository, without a download.
    const commit = await commitOf(root, hub);
    for (const line of commit === undefined ? await describeFiles(root) : [`${root} ${commit}\n`]) hash.update(line);
  }
  return hash.digest("hex");
}

async function describeFiles(root: string): Promise<string[]> {
  const rootStat = await stat(root);
  const files = rootStat.isDirectory()
    ? (await readdir(root, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => path.join(entry.parentPath, entry.name))
        .sort()
    : [root];
  const lines: string[] = [];
  for (const file of files) lines.push(`${path.relative(root, file)} ${await contentSha256(file)}\n`);
  return lines;
}

/** Suites and definitions are text that people wrote. */
const MAX_SUITE_BYTES = 100_000_000;

async function contentSha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of streamRegular(file, "a file of a suite")) hash.update(piece);
  return hash.digest("hex");
}
