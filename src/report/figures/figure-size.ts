/** How wide figures are: one form for the pages of desks and for files, one for screens of 420 px. */
import type { TopLevelSpec } from "vega-lite";

type LegendConfig = NonNullable<NonNullable<TopLevelSpec["config"]>["legend"]>;

/** Width in px of a figure with its axes and legends. */
export const WIDE = 900;
/** What 420 px leave between their margins. */
export const NARROW = 388;

/** A figure of one view or of layers, without its width. */
export type UnsizedSpec =
  | Omit<Extract<TopLevelSpec, { readonly mark: unknown }>, "width" | "autosize">
  | Omit<Extract<TopLevelSpec, { readonly layer: unknown }>, "width" | "autosize">;

/** Of a legend under a narrow figure: columns, and px of a name. */
export interface NarrowLegend {
  readonly columns: number;
  readonly labelLimit: number;
}
/** Width in px of a legend's title and of its last number. */
const LEGEND_ENDS = 32;
const MOST_LEGEND = 200;

/** The legend of coloured cells, no taller than they are; none beside a few rows, whose numbers say it. */
export function heatLegend(orient: "right" | "bottom", height: number) {
  const beside = Math.min(MOST_LEGEND, height - LEGEND_ENDS);
  if (orient === "right" && beside < 2 * LEGEND_ENDS) return null;
  return { orient, gradientLength: orient === "right" ? beside : MOST_LEGEND };
}

const TASKS_LEGEND: NarrowLegend = { columns: 3, labelLimit: 95 };

const beside: LegendConfig = { labelLimit: 210 };

/** Both forms of a figure: its legend stands beside it, on narrow screens under it. */
export function bothSizes(
  unsized: UnsizedSpec,
  legend: NarrowLegend = TASKS_LEGEND,
): { readonly spec: TopLevelSpec; readonly narrow: TopLevelSpec } {
  const autosize = { type: "fit-x", contains: "padding" } as const;
  const under: LegendConfig = { orient: "bottom", symbolOpacity: 1, ...legend };
  return {
    spec: {
      ...unsized,
      width: WIDE,
      autosize,
      config: { ...unsized.config, legend: { ...unsized.config?.legend, ...beside } },
    },
    narrow: { ...unsized, width: NARROW, autosize, config: { ...unsized.config, legend: under } },
  };
}
