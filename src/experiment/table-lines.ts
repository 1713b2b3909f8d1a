/**
 * The lines of a table: for every row of an experiment the settings as they stand, and those that its search chose: the best on val and,
 * for comparison, the best on the judged examples (oracle).
 */
import { mergeMethods } from "../merge/methods/registry.js";
import type { ChosenSettings } from "./chosen-settings.js";
import { type Adaptation, type Experiment, type ExperimentRow, isSearched, type Reported } from "./experiment-file.js";
import { isAt, type Point, partsOf, pointsOf } from "./vary.js";

/** One line: a method or a fit with all its settings. */
export interface TableLine {
  readonly name: string;
  readonly method: string | undefined;
  /** Overrides of the config, where it is a fit. */
  readonly fit: readonly string[] | undefined;
  /** Overrides of the config, whatever it is. */
  readonly overrides: readonly string[];
  /** Where the line stands on its row's curve; empty where nothing varies. */
  readonly point: Point;
  /** Absolute paths. */
  readonly suites: readonly string[];
  /** What others report for it. */
  readonly reported: readonly Reported[];
  /** Of the method; for a fit what a search chose, which is among the overrides too. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly setting: "published" | "val" | "oracle";
  readonly adaptation: readonly Adaptation[];
  readonly seeds: readonly number[];
  /** Settings that were judged on val to choose these. */
  readonly evaluations: number;
}

/** The lines in the order of the rows. `chosen` has an entry for every row with a search. */
export function tableLines(experiment: Experiment, chosen: ReadonlyMap<string, ChosenSettings>): TableLine[] {
  return experiment.rows.flatMap((row) => {
    if (!isSearched(row)) return pointsOf(row.vary).map((point) => lineOf(experiment, row, row.setting, {}, 0, point));
    const asItStands = lineOf(experiment, row, row.setting, {}, 0);
    const found = chosen.get(row.name);
    const searched =
      found === undefined
        ? []
        : (["val", "oracle"] as const).map((setting) =>
            lineOf(experiment, row, setting, found[setting], found.candidates.length),
          );
    return row.published ? [asItStands, ...searched] : searched;
  });
}

/** Whether a row looks at unlabelled examples: every fit, and some training-free methods. */
export function looksAtImages({
  method,
  fit,
}: {
  readonly method?: string | undefined;
  readonly fit?: readonly string[] | undefined;
}): boolean {
  return fit !== undefined || mergeMethods.get(method ?? "")?.needsImages === true;
}

/** A row with the settings `found` over its own, at a `point` of what varies in it. */
export function lineOf(
  experiment: Experiment,
  row: ExperimentRow,
  setting: TableLine["setting"],
  found: Readonly<Record<string, unknown>>,
  evaluations: number,
  point: Point = {},
): TableLine {
  const common = {
    name: row.name,
    method: row.method,
    setting,
    adaptation: experiment.adaptation.filter(({ name }) => row.adaptation?.includes(name) ?? true),
    evaluations,
    overrides: row.overrides,
    point,
    suites: row.suites ?? experiment.suites,
    seeds: row.seeds ?? experiment.seeds,
    // Numbers of others are for settings as they were published.
    reported: setting === "published" ? row.reported.filter(({ at }) => isAt(point, at)) : [],
  };
  if (row.fit === undefined)
    return { ...common, fit: undefined, settings: { ...row.settings, ...partsOf(point).settings, ...found } };
  return { ...common, fit: [...row.fit, ...overridesOf(found)], settings: found };
}

/** Settings by dotted key as overrides of a config. */
export function overridesOf(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
}
