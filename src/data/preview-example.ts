/** An example of a data set as a person sees it, for pages: a text, or a picture in base64. */
import type { Preview } from "./kind.js";
import { kindOf } from "./kinds.js";
import type { Dataset } from "./readers/dataset-reader.js";

export interface ShownParts {
  /** Two of a pair are lines. */
  readonly text?: string;
  /** In base64. */
  readonly png?: string;
}

/** Throws what reading the example does. */
export async function previewOf(dataset: Dataset, row: number): Promise<ShownParts> {
  const kind = kindOf(dataset.kind);
  const preview = (encoded: Uint8Array) => kind.preview(encoded, dataset.locate(row), dataset.exifOrientation);
  const previews = [await preview(await dataset.encoded(row))];
  if (dataset.second !== undefined) previews.push(await preview(await dataset.second(row)));
  return shownParts(previews);
}

function shownParts(previews: readonly Preview[]): ShownParts {
  const [first] = previews;
  if (first?.kind === "picture") return { png: Buffer.from(first.png).toString("base64") };
  return { text: previews.map((preview) => (preview.kind === "text" ? preview.text : "")).join("\n") };
}
