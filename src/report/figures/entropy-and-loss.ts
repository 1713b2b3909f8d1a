/** Does lower entropy mean fewer errors here? The evaluations of a fit as points, entropy against cross-entropy. */
import type { Figure } from "../plot.js";
import { rankCorrelation } from "../rank-correlation.js";
import { curves, type RunReport } from "../run-report.js";
import { taskColor } from "./curves.js";
import { bothSizes } from "./figure-size.js";

/** One point per task and evaluation, joined in the order of the steps. */
export function entropyAndLossFigure(report: RunReport): Figure | undefined {
  const losses = new Map(curves(report, "eval/loss").map((point) => [`${point.step}/${point.task}`, point.value]));
  const points = curves(report, "eval/entropy").flatMap(({ step, task, value: entropy }) => {
    const loss = losses.get(`${step}/${task}`);
    return loss === undefined ? [] : [{ step, task, entropy, loss }];
  });
  const tasks = [...new Set(points.map(({ task }) => task))];
  const all = rankCorrelation(points.map(({ entropy, loss }) => [entropy, loss]));
  if (all === undefined) return undefined;
  const within = tasks.flatMap((task) => {
    const own = points.filter((point) => point.task === task);
    const found = rankCorrelation(own.map(({ entropy, loss }) => [entropy, loss]));
    return found === undefined ? [] : [`${task} ${found.toFixed(2)}`];
  });
  return {
    name: "entropy-and-loss",
    title: "Entropy and loss",
    caption:
      `Mean entropy and mean cross-entropy on \`${report.config.data.eval_split}\` at every evaluation; a path that goes left and up has become surer and worse. ` +
      `Rank correlation (Spearman) over all points ${all.toFixed(2)}; along the fit: ${within.join(", ") || "too few evaluations"}.`,
    ...bothSizes({
      height: 420,
      data: { values: points },
      mark: { type: "line", point: { size: 30 }, strokeWidth: 1 },
      encoding: {
        x: { field: "entropy", type: "quantitative", title: "entropy (nats)", scale: { zero: false } },
        y: { field: "loss", type: "quantitative", title: "cross-entropy (nats)", scale: { zero: false } },
        order: { field: "step", type: "quantitative" },
        color: taskColor,
      },
    }),
  };
}
