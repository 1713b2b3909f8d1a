/**
 * Vega's SVG made part of a page: names of its own for what it refers to, explanations of its marks where the page's script finds them, and no
 * digits that nobody sees. What is larger than a page can bear goes in as a picture.
 */
import { escapeHtml, htmlWithCode } from "../html.js";
import type { Figure } from "../plot.js";

/** Attributes of coordinates. */
const COORDINATES = / (transform|d|x|y|x1|x2|y1|y2|dy|width|height|stroke-width|offset)="([^"]*)"/g;
/** Vega's own words to readers of screens, of marks and of axes. */
const ARIA = / aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="([^"]*)"/g;
const MARKS = /^(?:point|circle|square|bar|rect|rule|symbol|tick)/;
const OTHER_ARIA = / (?:role|aria-roledescription|aria-label|aria-hidden)="[^"]*"/g;

/** A figure with its caption; the SVG of its narrow form beside it, where it has one. */
export function htmlFigure(figure: Pick<Figure, "caption">, wide: string, narrow: string | undefined): string {
  return `<figure>\n${[wide, ...(narrow === undefined ? [] : [narrow])].join("\n")}\n<figcaption>${htmlWithCode(figure.caption)}</figcaption>\n</figure>`;
}

/** `svg` as an element of the page. `form`: which of a figure's two it is; undefined for one that serves all widths. */
export function inlineSvg({ name, title }: Figure, svg: string, form: "wide" | "narrow" | undefined): string {
  const prefix = `${name}-${form ?? "all"}-`;
  const [opening = ""] = /^<svg [^>]*>/.exec(svg) ?? [];
  const natural = /width="([\d.]+)"/.exec(opening)?.[1];
  const viewBox = /viewBox="([^"]*)"/.exec(opening)?.[1] ?? "";
  const names = form === undefined ? "" : ` class="${form}"`;
  // A figure grows a little where there is room, so that its right edge is that of the text.
  const style = natural === undefined ? "" : ` style="max-width:${Math.ceil(Number(natural) * MOST_GROWTH)}px"`;
  const start = `<svg${names} xmlns="http://www.w3.org/2000/svg" viewBox="${viewBox}" role="img" aria-label="${escapeHtml(title)}"${style}>`;
  const inner = svg
    .slice(opening.length)
    .replaceAll(ARIA, (_, label: string, role: string) =>
      MARKS.test(role) ? ` data-tip="${shortNumbers(label)}"` : "",
    )
    .replaceAll(OTHER_ARIA, "")
    .replaceAll(COORDINATES, (_, attribute: string, value: string) => ` ${attribute}="${roundedText(value)}"`)
    .replaceAll(/ id="([^"]*)"/g, (_, id: string) => ` id="${prefix}${id}"`)
    .replaceAll(/url\(#([^)"]*)\)/g, (_, id: string) => `url(#${prefix}${id})`);
  return `${start}${inner}`;
}

/** A figure too large for a page, as a picture of it. */
export function inlinePicture({ title }: Figure, png: Uint8Array, width: number): string {
  const source = `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
  return `<img alt="${escapeHtml(title)}" width="${Math.round(width)}" src="${source}">`;
}

const MOST_GROWTH = 1.25;

function roundedText(value: string): string {
  return value.replaceAll(/-?\d+\.\d{2,}(?:e-?\d+)?/g, (number) => String(Math.round(Number(number) * 100) / 100));
}

/** Four digits are enough to read. */
function shortNumbers(label: string): string {
  return label.replaceAll(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(Number(Number(number).toPrecision(4))));
}
