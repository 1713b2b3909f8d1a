/** One row of a table: what `table.json` holds, and what terminal, Markdown, CSV, LaTeX and report are made of. */
import type { Reported } from "./experiment-file.js";
import type { LabelUse, NeedsClass } from "./needs.js";
import type { Point } from "./vary.js";

/** One row of an experiment's table: a method, and how good it is. */
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
  /** 95 % bootstrap interval of the average over examples. */
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
  /** Of a fit: its best evaluated step, and how many points the end lies below it (chosen on the judged examples, so an oracle's). */
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
  readonly labels: LabelUse;
  /** What was judged, "images", "texts"; absent in results from before there were texts. */
  readonly examples?: string;
  /** Unlabelled examples presented to the objective per run, and how many of them are different (null as above). */
  readonly images: number;
  readonly imagesUnique: number | null;
  /** Stored beside one model; null as above. */
  readonly extraBytes: number | null;
  /** Of all runs of the row together. */
  readonly seconds: number;
  /** What was searched to choose the settings: judgements on labelled examples. */
  readonly evaluations: number;
  /** Of the method, or what a search chose for a fit; defaults are left out. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What these are about, for people: images where nothing says so, examples where they are of several kinds. */
export function examplesOf(rows: readonly { readonly examples?: string | undefined }[]): string {
  const [first = "images", ...others] = new Set(rows.map(({ examples = "images" }) => examples));
  return others.length > 0 ? "examples" : first;
}
