/**
 * Tells when a task's predictions fall into few classes: along a fit against those of its first evaluation, at its end against the experts'. What counts as
 * collapsed: optimize/predicted-classes.ts.
 */
import type { TrainEvent } from "../../optimize/events.js";
import { type Collapse, collapseText, effectiveClasses, isCollapsed } from "../../optimize/predicted-classes.js";
import { EXPERTS } from "../../report/summary.js";
import { readJsonLines } from "../../runtime/json-file.js";
import { PREDICTED_CLASSES_METRIC } from "../../track/metrics.js";
import type { Judged } from "../judge/judge-models.js";

const METRIC = `${PREDICTED_CLASSES_METRIC}/`;

/** Of the learned model, which is the last, the tasks whose predictions have collapsed; none where no expert was judged. */
export function collapsedTasks(judged: readonly Judged[]): Collapse[] {
  const experts = judged.find(({ row }) => row.method === EXPERTS)?.evaluations;
  return [...(judged.at(-1)?.evaluations ?? [])].flatMap(([task, { predictions }]): Collapse[] => {
    const reference = experts?.get(task);
    if (reference === undefined) return [];
    const [classes, expected] = [effectiveClasses(predictions), effectiveClasses(reference.predictions)];
    return isCollapsed(classes, expected) ? [{ task, classes, expected, reference: "expert" }] : [];
  });
}

/**
 * Consumes a fit's events and tells `log`, once a task, when predictions collapse against the first evaluation: the one that the metrics of a resumed
 * run begin with.
 */
export async function collapseWatch(
  log: (line: string) => void,
  resumedMetrics: string | undefined,
): Promise<(event: TrainEvent) => void> {
  let start = resumedMetrics === undefined ? undefined : await firstClasses(resumedMetrics);
  const told = new Set<string>();
  return (event) => {
    if (event.type !== "evaluation" || event.effectiveClasses === undefined) return;
    const now = new Map(event.tasks.map((task, index) => [task, event.effectiveClasses?.[index] ?? 0]));
    start ??= now;
    for (const [task, classes] of now) {
      const expected = start.get(task) ?? 0;
      if (told.has(task) || !isCollapsed(classes, expected)) continue;
      told.add(task);
      log(`warning: step ${event.step}: ${collapseText({ task, classes, expected, reference: "start" })}`);
    }
  };
}

/** Of the first evaluation in metrics.jsonl. */
async function firstClasses(file: string): Promise<Map<string, number> | undefined> {
  const lines = await readJsonLines(file, "a log of a run", () => {});
  const found = lines.map((line) =>
    Object.entries(line).flatMap(([key, value]): [string, number][] =>
      key.startsWith(METRIC) ? [[key.slice(METRIC.length), Number(value)]] : [],
    ),
  );
  const first = found.find((entries) => entries.length > 0);
  return first && new Map(first);
}
