/** Figures as files of their own and as sections of a page. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { htmlFigure, inlinePicture, inlineSvg } from "./page/figure-html.js";
import type { Section } from "./page/page.js";
import { type Figure, figurePng, figureSvg, standaloneSvg } from "./plot.js";

/** A figure with thousands of marks is as good as a picture, and a page of 3 MB has room for all its figures. */
const MOST_SVG_BYTES = 350_000;
/** Of all figures of a page together, in SVG; what comes later is put in as pictures. */
const MOST_FIGURE_BYTES = 1_500_000;

/** Writes `figures/<name>.svg` and `.png` of each figure into `directory`, and returns the sections of a page. */
export async function figureSections(directory: string, figures: readonly (Figure | undefined)[]): Promise<Section[]> {
  const folder = path.join(directory, "figures");
  await makeFolder(folder);
  const sections: Section[] = [];
  let bytes = 0;
  for (const figure of figures) {
    if (figure === undefined) continue;
    const svg = await figureSvg(figure);
    const standalone = standaloneSvg(svg);
    const png = await figurePng(standalone);
    await writeFileAtomic(path.join(folder, `${figure.name}.svg`), standalone);
    await writeFileAtomic(path.join(folder, `${figure.name}.png`), png);
    const wide = inlineSvg(figure, svg, figure.narrow === undefined ? undefined : "wide");
    const narrow =
      figure.narrow === undefined ? undefined : inlineSvg(figure, await figureSvg({ spec: figure.narrow }), "narrow");
    const size = wide.length + (narrow?.length ?? 0);
    const fits = wide.length <= MOST_SVG_BYTES && bytes + size <= MOST_FIGURE_BYTES;
    if (fits) bytes += size;
    const body = fits
      ? htmlFigure(figure, wide, narrow)
      : htmlFigure(figure, inlinePicture(figure, png, widthOf(svg)), undefined);
    sections.push({ id: figure.name, title: figure.title, body });
  }
  return sections;
}

function widthOf(svg: string): number {
  return Number(/^<svg [^>]*?width="([\d.]+)"/.exec(svg)?.[1] ?? 0);
}
