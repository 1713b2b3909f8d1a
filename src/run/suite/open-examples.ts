/** The examples of a suite's task in one of its splits, as the model is given them. */
import { type Dataset, openDataset } from "../../data/dataset.js";
import type { ExampleStore, LabelledExamples } from "../../data/examples.js";
import type { SuiteTask } from "../../data/suite.js";
import type { OpenedSuite } from "./opened-suite.js";
import { taskDataset } from "./suite-sources.js";

/** What of a run's inputs decides how examples are read. */
export type ExampleContext = Omit<OpenedSuite, "base" | "model" | "corruption"> &
  Partial<Pick<OpenedSuite, "corruption">>;

export interface OpenExamplesOptions {
  readonly cacheDir: string;
  readonly signal?: AbortSignal | undefined;
  /** Those of the head, in its order: labels are numbered by them. */
  readonly classes?: readonly string[];
}

/** The data set as it is stored. Throws what `openDataset` does. */
export async function openTaskDataset(
  { encoder, hub, notice }: Pick<ExampleContext, "encoder" | "hub" | "notice">,
  task: SuiteTask,
  split: string,
  classes: readonly string[] | undefined,
): Promise<Dataset> {
  const source = await taskDataset(task, split, hub);
  return openDataset({ ...source, kind: encoder.kind, classes, notice });
}

/** Reads the data set and encodes it, or finds that in the cache. Throws what `openDataset` and the encoder do. */
export async function openExamples(
  { suite, encoder, hub, cacheBytes, notice, corruption }: ExampleContext,
  task: SuiteTask,
  split: string,
  { cacheDir, signal, classes }: OpenExamplesOptions,
): Promise<ExampleStore | LabelledExamples> {
  const dataset = await openTaskDataset({ encoder, hub, notice }, task, split, classes);
  const { maxLength } = suite;
  return encoder.open(dataset, { cacheDir, cacheBytes, corruption, signal, notice, maxLength });
}
