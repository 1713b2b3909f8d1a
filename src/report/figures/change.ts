/** What learning changed since step 0, and where weight averaging stands: the average and every task as a line from before to after. */
import type { Figure } from "../plot.js";
import { bothSizes } from "./figure-size.js";
import { namesAxis } from "./named-rows.js";

/** One task, or the average over all. */
export interface Change {
  readonly task: string;
  /** Percent, at step 0 and at the last evaluation. */
  readonly before: number;
  readonly after: number;
  /** Of weight averaging; absent where it was not judged. */
  readonly averaging?: number | undefined;
}

const ROW_HEIGHT = 26;
/** Green and red that are legible on white and on black, with their lightness apart. */
const COLORS = { domain: ["gained", "lost", "unchanged"], range: ["#2da44e", "#d1493f", "#8c959f"] };

export function changeFigure(changes: readonly Change[]): Figure | undefined {
  if (changes.length === 0) return undefined;
  const values = changes.map(({ task, before, after, averaging = null }) => ({
    task,
    // With the difference beside the name nothing covers the marks.
    label: `${task}  ${textOf(after - before)}`,
    before,
    after,
    averaging,
    direction: textOf(after - before) === "0.0" ? "unchanged" : after > before ? "gained" : "lost",
  }));
  const y = namesAxis("label", 150);
  const x = (field: string) => ({ field, type: "quantitative" }) as const;
  const color = { field: "direction", type: "nominal", scale: COLORS, legend: null } as const;
  const hasAveraging = values.some(({ averaging }) => averaging !== null);
  return {
    name: "change",
    title: "Change since step 0",
    caption: `Accuracy at step 0 (ring) and at the last evaluation (dot), and the difference in points.${hasAveraging ? " Upright strokes: weight averaging." : ""}`,
    ...bothSizes({
      height: { step: ROW_HEIGHT },
      data: { values },
      layer: [
        {
          mark: { type: "rule", strokeWidth: 4, opacity: 0.55 },
          encoding: {
            y,
            x: { ...x("before"), scale: { zero: false, nice: true, padding: 8 }, title: "accuracy (%)" },
            x2: { field: "after" },
            color,
          },
        },
        ...(hasAveraging
          ? [
              {
                mark: { type: "tick" as const, thickness: 2, size: 14, color: "currentColor", opacity: 0.55 },
                encoding: { y, x: x("averaging") },
              },
            ]
          : []),
        { mark: { type: "point", size: 55, strokeWidth: 2, opacity: 1 }, encoding: { y, x: x("before"), color } },
        { mark: { type: "point", filled: true, size: 80, opacity: 1 }, encoding: { y, x: x("after"), color } },
      ],
    }),
  };
}

function textOf(points: number): string {
  const text = Math.abs(points).toFixed(1);
  return Number(text) === 0 ? "0.0" : `${points > 0 ? "+" : "−"}${text}`;
}
