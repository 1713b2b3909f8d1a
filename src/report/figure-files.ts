/** Figures as files of their own and as sections of a page. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { htmlFigure, type Section } from "./html.js";
import { type Figure, figurePng, figureSvg, standaloneSvg } from "./plot.js";

/** Writes `<name>.svg` and `<name>.png` of each figure into `directory`, which exists, and returns the sections of a page. */
export async function figureSections(directory: string, figures: readonly (Figure | undefined)[]): Promise<Section[]> {
  const sections: Section[] = [];
  for (const figure of figures) {
    if (figure === undefined) continue;
    const svg = await figureSvg(figure);
    const standalone = standaloneSvg(svg);
    await writeFileAtomic(path.join(directory, `${figure.name}.svg`), standalone);
    await writeFileAtomic(path.join(directory, `${figure.name}.png`), await figurePng(standalone));
    sections.push({ id: figure.name, title: figure.title, body: htmlFigure(svg, figure.caption) });
  }
  return sections;
}
