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
  return sectionsOf(figures, async ({ name }, standalone, png) => {
    await writeFileAtomic(path.join(folder, `${name}.svg`), standalone);
    await writeFileAtomic(path.join(folder, `${name}.png`), await png());
  });
}

/** The sections alone, for a page that is one file and no folder. */
export function inlineFigures(figures: readonly (Figure | undefined)[]): Promise<Section[]> {
  return sectionsOf(figures, async () => {});
}

/** `keep` is given each figure as files have it; pictures are made when they are asked for. */
async function sectionsOf(
  figures: readonly (Figure | undefined)[],
  keep: (figure: Figure, standalone: string, png: () => Promise<Buffer>) => Promise<void>,
): Promise<Section[]> {
  const sections: Section[] = [];
  let bytes = 0;
  for (const figure of figures) {
    if (figure === undefined) continue;
    const { name, title, narrow } = figure;
    const svg = await figureSvg(figure);
    const standalone = standaloneSvg(svg);
    let made: Promise<Buffer> | undefined;
    const png = () => {
      made ??= figurePng(standalone);
      return made;
    };
    await keep(figure, standalone, png);
    const wide = inlineSvg(figure, svg, narrow === undefined ? undefined : "wide");
    const small = narrow === undefined ? undefined : inlineSvg(figure, await figureSvg({ spec: narrow }), "narrow");
    const size = wide.length + (small?.length ?? 0);
    const fits = wide.length <= MOST_SVG_BYTES && bytes + size <= MOST_FIGURE_BYTES;
    if (fits) bytes += size;
    const body = fits
      ? htmlFigure(figure, wide, small)
      : htmlFigure(figure, inlinePicture(figure, await png(), widthOf(svg)), undefined);
    sections.push({ id: name, title, body });
  }
  return sections;
}

function widthOf(svg: string): number {
  return Number(/^<svg [^>]*?width="([\d.]+)"/.exec(svg)?.[1] ?? 0);
}
