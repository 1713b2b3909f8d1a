/** Curves of a fine-tuning against the step: loss, accuracy on what is held out, learning rate. */
import { HELD_ACCURACY, HELD_LOSS } from "../../track/finetune-events.js";
import type { FinetuneReport } from "../finetune-report.js";
import type { Figure } from "../plot.js";
import { HEIGHT, smoothing, stepAxis, taskColor, valueAxis } from "./curves.js";
import { bothSizes } from "./figure-size.js";

interface Point {
  readonly step: number;
  readonly task: string;
  readonly value: number;
}

/** Of one metric; `task` is what its line is called. */
function curve({ metrics }: Pick<FinetuneReport, "metrics">, metric: string, task: string): Point[] {
  return metrics.flatMap((line) => {
    const value = line[metric];
    return value === undefined ? [] : [{ step: line.step ?? 0, task, value }];
  });
}

/** The loss of the batches, smoothed, and that of what is held out. */
export function lossFigure(report: FinetuneReport): Figure | undefined {
  const trained = curve(report, "train/loss", "trained on");
  const held = curve(report, HELD_LOSS, "held out");
  if (trained.length === 0) return undefined;
  const { half, transform } = smoothing(trained);
  const beside = held.length === 0 ? "" : ", and the mean over what is held out";
  return {
    name: "training-loss",
    title: "Loss",
    caption: `Cross-entropy of the batches that were trained on${half > 0 ? `, as the mean over ${2 * half + 1} steps` : ""}${beside}.`,
    ...bothSizes({
      height: HEIGHT,
      layer: [
        {
          data: { values: trained },
          transform,
          mark: { type: "line", strokeWidth: 1.5 },
          encoding: {
            x: stepAxis,
            y: { field: "mean", type: "quantitative", title: "loss (nats)", scale: { zero: false } },
            color: taskColor,
          },
        },
        {
          data: { values: held },
          mark: { type: "line", point: { size: 24 }, strokeWidth: 2 },
          encoding: { x: stepAxis, y: valueAxis, color: taskColor },
        },
      ],
    }),
  };
}

/** Accuracy on what is held out; a dashed line at the step whose weights were saved. */
export function heldOutFigure(report: FinetuneReport): Figure | undefined {
  const values = curve(report, HELD_ACCURACY, "held out");
  if (values.length < 2) return undefined;
  const saved = report.summary?.step;
  return {
    name: "held-out",
    title: "Accuracy on what is held out",
    caption: `Accuracy on what is held out against the step; step 0 is the model before the training, under the head that it began with.${saved === undefined ? "" : ` Dashed: step ${saved}, whose weights were saved.`}`,
    ...bothSizes({
      height: HEIGHT,
      layer: [
        {
          data: { values },
          mark: { type: "line", point: { size: 24 }, strokeWidth: 2 },
          encoding: { x: stepAxis, y: { ...valueAxis, title: "accuracy (%)" } },
        },
        {
          data: { values: saved === undefined ? [] : [{ step: saved }] },
          mark: { type: "rule", color: "currentColor", opacity: 0.75, strokeDash: [6, 3] },
          encoding: { x: stepAxis },
        },
      ],
    }),
  };
}

export function learningRateFigure(report: FinetuneReport): Figure | undefined {
  const values = curve(report, "train/learning_rate", "learning rate");
  if (values.length < 2) return undefined;
  return {
    name: "learning-rate",
    title: "Learning rate",
    caption: "Step size of AdamW at every step: its warm-up and schedule.",
    ...bothSizes({
      height: HEIGHT / 2,
      data: { values },
      mark: { type: "line", strokeWidth: 1.5 },
      encoding: {
        x: stepAxis,
        y: { field: "value", type: "quantitative", title: "learning rate", axis: { format: ".1e" } },
      },
    }),
  };
}

/** Accuracy on what is held out of several runs; none where no run was judged twice. */
export function heldOutOfRuns(
  runs: readonly { readonly label: string; readonly report: FinetuneReport }[],
): Figure | undefined {
  const curves = runs.map(({ label, report }) => curve(report, HELD_ACCURACY, label));
  if (curves.every((points) => points.length < 2)) return undefined;
  return {
    name: "held-out",
    title: "Accuracy on what is held out",
    caption: "Accuracy of each run on what is held out against the step; step 0 is the model before the training.",
    ...bothSizes({
      height: HEIGHT,
      data: { values: curves.flat() },
      mark: { type: "line", point: { size: 24 }, strokeWidth: 2 },
      encoding: { x: stepAxis, y: { ...valueAxis, title: "accuracy (%)" }, color: taskColor },
    }),
  };
}
