/**
 * Figures as Vega-Lite specifications made into SVG and PNG without a browser. In a page the text of a figure takes the page's
 * colour (`currentColor`), so that one SVG serves light and dark.
 */
import sharp from "sharp";
import type { TopLevelSpec } from "vega-lite";
import { shownText } from "../runtime/printable.js";
import { useTextWidths } from "./text-width.js";

/** A named figure: its file name, what it shows, and its specification. */
export interface Figure {
  /** File name without extension, and id in the page. */
  readonly name: string;
  readonly title: string;
  /** One or two sentences: what is drawn and how to read it. */
  readonly caption: string;
  readonly spec: TopLevelSpec;
  /** The same for narrow screens, in at most `NARROW` px; absent where the one form is narrow enough. */
  readonly narrow?: TopLevelSpec;
}

const GRID = "rgba(128, 128, 128, 0.25)";
const FONT = "system-ui, -apple-system, Segoe UI, sans-serif";
/** px per unit of a standalone PNG. */
const PNG_SCALE = 2;

const THEME: NonNullable<TopLevelSpec["config"]> = {
  background: "transparent",
  font: FONT,
  view: { stroke: GRID },
  axis: {
    labelColor: "currentColor",
    titleColor: "currentColor",
    domainColor: GRID,
    tickColor: GRID,
    gridColor: GRID,
    titleFontWeight: "normal",
    labelLimit: 200,
  },
  legend: { labelColor: "currentColor", titleColor: "currentColor", titleFontWeight: "normal" },
  header: { labelColor: "currentColor", titleColor: "currentColor" },
  title: { color: "currentColor" },
  text: { color: "currentColor" },
};

/** A specification as SVG for a page. Throws what Vega says of a wrong one. */
export async function figureSvg({ spec }: Pick<Figure, "spec">): Promise<string> {
  // Loaded when needed: the two take a third of a second.
  const [{ compile }, vega] = await Promise.all([import("vega-lite"), import("vega")]);
  useTextWidths(vega);
  // Ten strong colours first, for up to ten tasks; then their light variants.
  const light = vega.scheme("tableau20").filter((_: string, index: number) => index % 2 === 1);
  const config = { ...THEME, range: { category: [...vega.scheme("tableau10"), ...light] } };
  const compiled = compile(spec, { config, logger: vega.logger(vega.Error) }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none" });
  try {
    // XML has no place for control characters, not even escaped.
    return renumbered(shownText(await view.toSVG()));
  } finally {
    view.finalize();
  }
}

/** Vega numbers what a figure refers to through a process; the same figure is to be the same text. */
function renumbered(svg: string): string {
  const ids = new Map([...svg.matchAll(/ id="([^"]+)"/g)].map(([, id = ""], index) => [id, `part${index}`]));
  return svg
    .replaceAll(/ id="([^"]+)"/g, (_, id: string) => ` id="${ids.get(id) ?? id}"`)
    .replaceAll(/url\(#([^)"]+)\)/g, (_, id: string) => `url(#${ids.get(id) ?? id})`);
}

/** An SVG of `figureSvg` that stands alone: dark text on white. */
export function standaloneSvg(svg: string): string {
  return svg.replace(/^<svg /, '<svg style="color:#222;background:#fff" ');
}

/** A standalone SVG as PNG, twice its size. */
export async function figurePng(standalone: string): Promise<Buffer> {
  const density = 72 * PNG_SCALE;
  return sharp(Buffer.from(standalone), { density }).flatten({ background: "#fff" }).png().toBuffer();
}
