/** What the evaluations along a fit say, from its metrics: averages, tasks, and the change from the first to the last. */
import type { Change } from "./figures/change.js";
import type { RunReport } from "./run-report.js";
import { AVERAGING, rowOf } from "./summary.js";

export interface Evaluation {
  readonly step: number;
  /** Percent. */
  readonly average: number;
  readonly tasks: ReadonlyMap<string, number>;
}

const PREFIX = "eval/acc/";

/** In the order of the steps; of a step that was judged twice, as after a resumed run, the later. */
export function evaluationsOf({ metrics }: Pick<RunReport, "metrics">): Evaluation[] {
  const found = new Map<number, Evaluation>();
  for (const line of metrics) {
    const average = line["eval/acc"];
    if (average === undefined) continue;
    const tasks = Object.entries(line).flatMap(([key, value]): [string, number][] =>
      key.startsWith(PREFIX) ? [[key.slice(PREFIX.length), value]] : [],
    );
    const step = line.step ?? 0;
    found.set(step, { step, average, tasks: new Map(tasks) });
  }
  return [...found.values()].sort((a, b) => a.step - b.step);
}

/** The average and every task at step 0 and at the last evaluation; none before a second evaluation. */
export function changesOf(report: Pick<RunReport, "metrics" | "summary">): Change[] {
  const evaluations = evaluationsOf(report);
  const [first, last] = [evaluations[0], evaluations.at(-1)];
  if (first === undefined || last === undefined || first.step !== 0 || last === first) return [];
  const averaging = rowOf(report.summary?.rows ?? [], AVERAGING);
  const tasks = [...last.tasks].flatMap(([task, after]) => {
    const before = first.tasks.get(task);
    const tasksOf = averaging?.tasks ?? {};
    return before === undefined
      ? []
      : [{ task, before, after, averaging: Object.hasOwn(tasksOf, task) ? tasksOf[task] : undefined }];
  });
  const average = { task: "average", before: first.average, after: last.average, averaging: averaging?.average };
  return [average, ...tasks];
}
