/** What adamerge does, in one picture: base, experts and unlabelled examples become coefficients, and these one model. */
import { arrow, box, shown, svgOf, text } from "./svg.js";

export interface Coefficients {
  readonly tasks: readonly string[];
  readonly groups: readonly string[];
  /** [tasks][groups] */
  readonly values: readonly (readonly number[])[];
}

const [WIDTH, HEIGHT] = [860, 300];
const MAP = { x: 310, y: 64, width: 330, row: 22 };
/** Coefficients from here on have the full colour. */
const FULL = 0.7;

/** `coefficients` are of a real run; `title` says of which. */
export function overviewPicture(coefficients: Coefficients, caption: string): string {
  const { tasks } = coefficients;
  const mapHeight = tasks.length * MAP.row;
  const middle = MAP.y + mapHeight / 2;
  const parts = [
    box(10, 24, 180, 52),
    text(100, 46, "pretrained base", "bold middle"),
    text(100, 64, "weights", "soft middle"),
    box(22, 112, 180, 52),
    box(16, 106, 180, 52),
    box(10, 100, 180, 52),
    text(100, 122, `${tasks.length} experts`, "bold middle"),
    text(100, 140, "fine-tuned from it", "soft middle"),
    box(10, 188, 180, 52),
    text(100, 210, "unlabelled examples", "bold middle"),
    text(100, 228, "of each task", "soft middle"),
    arrow(194, 50, 226, middle - 22),
    arrow(206, 138, 226, middle),
    arrow(194, 214, 226, middle + 22),
    text(MAP.x, 42, "learned coefficients", "bold"),
    text(MAP.x + MAP.width, 42, "one per task and tensor", "soft end"),
    ...heatMap(coefficients),
    text(MAP.x, MAP.y + mapHeight + 18, "first layer", "soft"),
    text(MAP.x + MAP.width, MAP.y + mapHeight + 18, "last layer", "soft end"),
    arrow(MAP.x + MAP.width + 10, middle, MAP.x + MAP.width + 44, middle),
    box(MAP.x + MAP.width + 48, middle - 40, 150, 80),
    text(MAP.x + MAP.width + 123, middle - 8, "one model", "bold middle"),
    text(MAP.x + MAP.width + 123, middle + 12, "does all tasks, as", "soft middle"),
    text(MAP.x + MAP.width + 123, middle + 28, "large as the base", "soft middle"),
    text(WIDTH / 2, HEIGHT - 8, caption, "soft middle"),
  ];
  const title = `A base, ${tasks.length} experts and unlabelled examples become learned coefficients, and these one merged model`;
  return svgOf({ width: WIDTH, height: HEIGHT, title, parts });
}

function heatMap({ tasks, groups, values }: Coefficients): string[] {
  const width = MAP.width / groups.length;
  return tasks.flatMap((task, index) => {
    const y = MAP.y + index * MAP.row;
    const cells = (values[index] ?? []).map((value, group) => {
      const share = Math.min(Math.max(value / FULL, 0), 1);
      return `<rect x="${shown(MAP.x + group * width)}" y="${shown(y)}" width="${shown(width + 0.2)}" height="${MAP.row - 2}" class="accent" opacity="${shown(0.06 + 0.94 * share)}"/>`;
    });
    return [text(MAP.x - 8, y + 15, task, "soft end"), ...cells];
  });
}
