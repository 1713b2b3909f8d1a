/**
 * The cells of an experiment: every single model that has to be made and judged. A cell's key is a hash of everything that its
 * result depends on, so that a result on disk stands as long as its settings do.
 */
import { createHash } from "node:crypto";
import { decisiveSettings } from "../config/flat.js";
import { requireEvalSplit } from "../config/judged-split.js";
import { loadRunConfig, parseRunConfig } from "../config/load.js";
import type { RunConfig } from "../config/schema.js";
import type { Adaptation, Experiment } from "./experiment-file.js";
import { looksAtImages, overridesOf, type TableLine } from "./table-lines.js";
import { partsOf } from "./vary.js";

/** Raise it when a change of the program changes results that are on disk. */
const RESULT_VERSION = 1;

export interface Cell {
  readonly row: TableLine;
  /** Undefined for rows that adapt to nothing. */
  readonly adaptation: Adaptation | undefined;
  readonly suite: string;
  /** Sampler seed; 0 for rows that learn nothing. */
  readonly seed: number;
  readonly config: RunConfig;
  /** Names the cell's files: readable, with a hash of its settings. */
  readonly key: string;
}

export interface LoadCellsOptions {
  readonly presetsDir: string;
  readonly cwd: string;
  /** Overrides of the config for all rows. */
  readonly overrides: readonly string[];
  /** Directory of all runs. */
  readonly output: string;
  /** Fingerprint of the files of a suite that a method reads (undefined: a fit): other contents give other keys. */
  readonly suiteFingerprint: (suite: string, method: string | undefined) => Promise<string>;
}

/** All cells, line by line in the order of the table. Throws ConfigError for overrides that do not fit the config. */
export async function loadCells(
  experiment: Experiment,
  lines: readonly TableLine[],
  options: LoadCellsOptions,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const row of lines)
    for (const adaptation of looksAtImages(row) ? row.adaptation : [undefined])
      for (const [index, suite] of row.suites.entries())
        for (const seed of row.fit === undefined ? [0] : row.seeds)
          cells.push(await loadCell(experiment, options, { row, adaptation, suite, index, seed }));
  return cells;
}

interface CellPlace {
  readonly row: TableLine;
  readonly adaptation: Adaptation | undefined;
  readonly suite: string;
  readonly index: number;
  readonly seed: number;
}

async function loadCell(experiment: Experiment, options: LoadCellsOptions, place: CellPlace): Promise<Cell> {
  const { row, adaptation, suite, index, seed } = place;
  // What varies comes last: a curve stays one under overrides of everything.
  const varied = overridesOf(partsOf(row.point).config);
  const load = async (adapted: readonly string[]): Promise<RunConfig> => {
    const ofRow = [...row.overrides, ...(row.fit ?? []), ...adapted];
    const overrides = [...ofRow, ...options.overrides, ...varied, `suite=${suite}`, `seed=${seed}`];
    const { config } = await loadRunConfig(experiment.config, overrides, options);
    requireEvalSplit(config, "an experiment");
    return config;
  };
  const adaptSplit = adaptation && (adaptation.split ?? (await load([])).data.eval_split);
  const config = await load(adaptSplit == null ? [] : [`data.adapt_split=${adaptSplit}`]);
  const fingerprint = await options.suiteFingerprint(suite, row.method);
  // A fit's settings are in its config. (The empty place was once a search within the cell.)
  const ofMethod = row.fit === undefined ? row.settings : {};
  const facts = [RESULT_VERSION, fingerprint, row.method, ofMethod, null, unusualSettings(config)];
  const hash = createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 12);
  const parts = [
    row.name,
    adaptation?.name,
    `suite${index + 1}`,
    ...(row.fit === undefined ? [] : [`seed${seed}`]),
    hash,
  ];
  const key = parts.filter((part) => part !== undefined).join("-");
  return { row, adaptation, suite, seed, config: silent(config, experiment, key, options), key };
}

/** `config` as one of an experiment's many fits: in a folder of their own, without model and report. */
export function silent(
  config: RunConfig,
  { name }: Pick<Experiment, "name">,
  key: string,
  { output }: Pick<LoadCellsOptions, "output">,
): RunConfig {
  const place = { output, experiment: `${name}.fits`, name: key };
  return { ...config, ...place, save_model: false, log_model: false, register_model: null, save_report: false };
}

/** What differs from the defaults: a result stands when the program learns a new key whose default changes nothing. */
export function unusualSettings(config: RunConfig): [string, string][] {
  const defaults = decisiveSettings(parseRunConfig({ suite: config.suite }));
  return [...decisiveSettings(config)].filter(([key, text]) => defaults.get(key) !== text);
}
