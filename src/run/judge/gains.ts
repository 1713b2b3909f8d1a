/** What models that learned gain over those that did not: paired by example, with an interval. */
import type { LearnedGain } from "../../report/learned-gain.js";
import { createBootstrap, pairedGain } from "../../report/statistics.js";
import { isReference } from "../../report/summary.js";
import { isScored, type Judged } from "./judge-models.js";

/** Of each learned model over the row `over`, in points; none for a suite without labels, or where `over` was not judged on the same tasks. */
export function gainsOver(over: string, compared: readonly Judged[], learned: readonly Judged[]): LearnedGain[] {
  const other = compared.find(({ row }) => row.method === over);
  const bootstrap = createBootstrap();
  return learned.flatMap((judged) => {
    const [ours, theirs] = [judged, other].map(pointsTN);
    if (ours === undefined || theirs === undefined || ours.length !== theirs.length) return [];
    return [{ method: judged.row.method, over, ...pairedGain(ours, theirs, bootstrap) }];
  });
}

/** The row of the merged model with the highest average among some that learned nothing. Chosen on what is judged, which favours it. */
export function bestMerged(compared: readonly Judged[]): string | undefined {
  const merged = compared.filter(({ row }) => !isReference(row.method));
  return merged.reduce<Judged | undefined>(
    (best, each) => (best === undefined || each.row.average > best.row.average ? each : best),
    undefined,
  )?.row.method;
}

/** Of each task 100 for every example that was right, else 0; undefined unless all have labels. */
function pointsTN(judged: Judged | undefined): Float64Array[] | undefined {
  const evaluations = [...(judged?.evaluations.values() ?? [])];
  if (evaluations.length === 0 || !evaluations.every(isScored)) return undefined;
  return evaluations.map(({ hits }) => Float64Array.from(hits, (hit) => 100 * hit));
}
