/**
 * The examples that learning gained and lost against weight averaging: which they are, and a few of each as a person sees them, for the report.
 * Chosen evenly among all of a task, so that nobody chose them.
 */
import { judgedSplit } from "../../config/judged-split.js";
import type { RunConfig } from "../../config/schema.js";
import { previewOf } from "../../data/preview-example.js";
import { type ChangedExamples, evenly, type ShownExample, type TaskExamples } from "../../report/changed-examples.js";
import type { Inputs } from "../session/inputs.js";
import { openTaskDataset } from "../suite/open-examples.js";
import { isScored, type Judged } from "./judge-models.js";

const BEFORE = "weight_averaging";

/** Undefined where nothing can be compared: a run without labels, or without its baselines. Throws what reading the examples does. */
export async function changedExamples(
  config: RunConfig,
  inputs: Inputs,
  judged: readonly Judged[],
): Promise<ChangedExamples | undefined> {
  const before = judged.find(({ row }) => row.method === BEFORE);
  const after = judged.at(-1);
  if (before === undefined || after === undefined || before === after || config.report_examples === 0) return undefined;
  const split = judgedSplit(config);
  const tasks: TaskExamples[] = [];
  for (const task of inputs.judged) {
    const { name, classes } = task;
    const [was, is] = [before.evaluations.get(name), after.evaluations.get(name)];
    if (was === undefined || is === undefined || !isScored(was) || !isScored(is)) continue;
    const dataset = await openTaskDataset(inputs, task, split, classes);
    const rows = Array.from(is.hits.keys());
    const gained = rows.filter((row) => was.hits[row] === 0 && is.hits[row] === 1);
    const lost = rows.filter((row) => was.hits[row] === 1 && is.hits[row] === 0);
    const shown = (of: readonly number[]) =>
      Promise.all(
        evenly(of, config.report_examples).map(async (row): Promise<ShownExample> => {
          const nameOf = (label: number | undefined): string => classes[label ?? 0] ?? String(label);
          return {
            row,
            ...(await previewOf(dataset, row)),
            label: nameOf(dataset.labels?.[row]),
            before: nameOf(was.predictions[row]),
            after: nameOf(is.predictions[row]),
          };
        }),
      );
    const counts = { examples: rows.length, gained: gained.length, lost: lost.length };
    tasks.push({ task: name, ...counts, gainedExamples: await shown(gained), lostExamples: await shown(lost) });
  }
  if (tasks.length === 0) return undefined;
  const { corruption } = config.data;
  return {
    split,
    before: before.row.method,
    after: after.row.method,
    ...(corruption === "none" ? {} : { corruption }),
    tasks,
  };
}
