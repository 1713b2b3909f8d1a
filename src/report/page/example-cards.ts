/** Examples as a person sees them, as cards of a page: a text or a picture, its class, and what a model took it for. */
import { z } from "zod";
import { escapeHtml } from "../html.js";

/** An example as files of a run keep it. */
export const pictureSchema = z.object({
  /** In its split, from 0. */
  row: z.int(),
  /** Two of a pair are lines. */
  text: z.string().optional(),
  /** In base64. */
  png: z.base64().optional(),
  label: z.string(),
});
export type Pictured = z.output<typeof pictureSchema>;

export interface CardOptions {
  /** Which colour it has. */
  readonly change: "gained" | "lost";
  readonly word: string;
  /** The class that it was taken for. */
  readonly wrong: string;
}

export function exampleCard({ row, text, png, label }: Pictured, { change, word, wrong }: CardOptions): string {
  const content =
    png === undefined
      ? `<p class="example">${escapeHtml(text ?? "").replaceAll("\n", "<br>")}</p>`
      : `<img alt="example ${row}" src="data:image/png;base64,${png}">`;
  return `<figure class="${change}">${content}<figcaption><b>${word}</b> · ${escapeHtml(label)} <span class="wrong">${escapeHtml(wrong)}</span></figcaption></figure>`;
}

/** Cards side by side; none of none. */
export function cardGrid(examples: readonly Pick<Pictured, "png">[], cards: readonly string[]): string[] {
  if (cards.length === 0) return [];
  const names = examples.some(({ png }) => png !== undefined) ? "examples pictures" : "examples";
  return [`<div class="${names}">\n${cards.join("\n")}\n</div>`];
}
