/** The cosine of the objective's and the loss's gradients along a fit. */
import { objectiveFactsOf, objectiveTitles } from "../../objective/catalog.js";
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { bothSizes } from "./figure-size.js";

/** Of runs with `data.gradient_images`. */
export function gradientCosineFigure({ metrics, config, examples }: RunReport): Figure | undefined {
  const values = metrics.flatMap((line) =>
    line["eval/gradient_cosine"] === undefined ? [] : [{ step: line.step ?? 0, cosine: line["eval/gradient_cosine"] }],
  );
  if (values.length < 2) return undefined;
  const objective = objectiveTitles(config, (name) => objectiveFactsOf(name).label);
  return {
    name: "gradient-cosine",
    title: `Do ${objective} and errors fall together?`,
    caption:
      `Cosine of two gradients in the coefficients, on the same ${config.data.gradient_images} ${examples} per task of \`${config.data.eval_split}\`: of the ${objective}, which the fit minimises, ` +
      "and of the cross-entropy of the true classes, which it never sees. Above 0 a step that lowers the one lowers the other; below 0 it does not.",
    ...bothSizes({
      height: 220,
      layer: [
        {
          data: { values },
          mark: { type: "line", point: { size: 30 }, strokeWidth: 2 },
          encoding: {
            x: { field: "step", type: "quantitative", title: "step" },
            y: { field: "cosine", type: "quantitative", title: "cosine", scale: { domain: [-1, 1] } },
          },
        },
        {
          data: { values: [{ zero: 0 }] },
          mark: { type: "rule", color: "currentColor", strokeDash: [5, 4] },
          encoding: { y: { field: "zero", type: "quantitative" } },
        },
      ],
    }),
  };
}
