/** Average accuracies of the quickstart's models, one panel a suite: dots, with the interval of each fit's gain over averaging. */
import { shown, svgOf, text } from "./svg.js";

export interface Row {
  readonly method: string;
  readonly average: number;
  /** 95 % interval of the difference to averaging, in points. */
  readonly interval?: readonly [number, number];
}

export interface Panel {
  readonly title: string;
  readonly rows: readonly Row[];
}

const WIDTH = 860;
const LABELS = 190;
const [TOP, ROW, GAP] = [44, 26, 40];
/** Percent: nothing that is shown lies lower. */
const [FROM, TO] = [40, 100];
/** From here on numbers stand to the left of their dots. */
const LEFT_LABEL_FROM = 80;
const TICKS = [40, 60, 80, 100];

export function accuracyPicture(panels: readonly Panel[]): string {
  const panelWidth = (WIDTH - LABELS - GAP) / panels.length - GAP / 2;
  const rows = Math.max(...panels.map((panel) => panel.rows.length));
  const height = TOP + rows * ROW + 62;
  const parts = panels.flatMap((panel, index) => {
    const left = LABELS + index * (panelWidth + GAP);
    const xOf = (percent: number): number => left + ((percent - FROM) / (TO - FROM)) * panelWidth;
    const averaging = panel.rows.find(({ method }) => method === "weight_averaging")?.average ?? 0;
    return [
      text(left, 22, panel.title, "bold"),
      ...TICKS.flatMap((tick) => [
        `<path d="M${shown(xOf(tick))} ${TOP - 8} V${TOP + rows * ROW}" class="rule"/>`,
        text(xOf(tick), TOP + rows * ROW + 18, `${tick} %`, "soft middle"),
      ]),
      ...panel.rows.flatMap(({ method, average, interval }, row) => {
        const y = TOP + row * ROW + ROW / 2;
        const isFar = average > LEFT_LABEL_FROM;
        const [low, high] =
          interval === undefined ? [average, average] : [averaging + interval[0], averaging + interval[1]];
        const labelX = isFar ? xOf(low) - 10 : xOf(high) + 10;
        const whisker =
          interval === undefined ? [] : [`<path d="M${shown(xOf(low))} ${y} H${shown(xOf(high))}" class="whisker"/>`];
        return [
          ...(index === 0 ? [text(LABELS - 14, y + 5, method.replaceAll("_", " "), "end")] : []),
          ...whisker,
          `<circle cx="${shown(xOf(average))}" cy="${y}" r="5" class="${interval === undefined ? "plain" : "accent"}"/>`,
          text(labelX, y + 4, average.toFixed(1), isFar ? "soft end" : "soft"),
        ];
      }),
    ];
  });
  const legend = text(
    LABELS,
    height - 12,
    "Dots: average accuracy. Blue: learned, with the 95 % interval of the gain over weight averaging.",
    "soft",
  );
  const said = panels.map(
    ({ title, rows: own }) =>
      `${title}: ${own.map(({ method, average }) => `${method} ${average.toFixed(1)}`).join(", ")}`,
  );
  return svgOf({
    width: WIDTH,
    height,
    title: `Average accuracy in percent. ${said.join(". ")}`,
    parts: [...parts, legend],
  });
}
