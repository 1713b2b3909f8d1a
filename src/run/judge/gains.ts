/** What models that learned gain over the mean of the experts: paired by example, with an interval. */
import type { GainOverAveraging } from "../../report/learned-gain.js";
import { createBootstrap, pairedGain } from "../../report/statistics.js";
import { AVERAGING } from "../../report/summary.js";
import { isScored, type Judged } from "./judge-models.js";

/** Of each learned model in points; none for a suite without labels, or where averaging was not judged on the same tasks. */
export function gainsOverAveraging(compared: readonly Judged[], learned: readonly Judged[]): GainOverAveraging[] {
  const averaging = compared.find(({ row }) => row.method === AVERAGING);
  const bootstrap = createBootstrap();
  return learned.flatMap((judged) => {
    const [ours, theirs] = [judged, averaging].map(pointsTN);
    if (ours === undefined || theirs === undefined || ours.length !== theirs.length) return [];
    return [{ method: judged.row.method, ...pairedGain(ours, theirs, bootstrap) }];
  });
}

/** Of each task 100 for every example that was right, else 0; undefined unless all have labels. */
function pointsTN(judged: Judged | undefined): Float64Array[] | undefined {
  const evaluations = [...(judged?.evaluations.values() ?? [])];
  if (evaluations.length === 0 || !evaluations.every(isScored)) return undefined;
  return evaluations.map(({ hits }) => Float64Array.from(hits, (hit) => 100 * hit));
}
