/** Headline numbers of a report, the most important first. */
import { escapeHtml } from "../html.js";

export interface Card {
  readonly label: string;
  readonly value: string;
  /** One or two short lines under the value. */
  readonly note?: string | undefined;
  /** What the number is, for who points at the label. */
  readonly tip?: string | undefined;
  /** Whether the value is welcome; of numbers that are neither, nothing. */
  readonly tone?: "good" | "bad" | undefined;
  /** The one number that the report is about. */
  readonly isMain?: boolean;
}

/** Values with more characters are names, which are set smaller than numbers. */
const NUMBER_LENGTH = 12;

export function cardList(cards: readonly Card[]): string {
  if (cards.length === 0) return "";
  return `<dl class="cards">\n${cards.map(cardItem).join("\n")}\n</dl>`;
}

function cardItem({ label, value, note, tip, tone, isMain = false }: Card): string {
  const title = tip === undefined ? "" : ` title="${escapeHtml(tip)}"`;
  const classes = ["value", ...(value.length > NUMBER_LENGTH ? ["text"] : []), ...(tone === undefined ? [] : [tone])];
  const under = note === undefined ? "" : `<dd class="note">${together(note)}</dd>`;
  return `<div${isMain ? ' class="main"' : ""}><dt><span${title}>${escapeHtml(label)}</span></dt><dd class="${classes.join(" ")}">${together(value)}</dd>${under}</div>`;
}

/** A number and its sign stay on one line. */
const together = (text: string): string => escapeHtml(text.replaceAll(" %", "\u00a0%"));

/** Good above zero, bad below. */
export function toneOf(difference: number | undefined): Card["tone"] {
  if (difference === undefined || !Number.isFinite(difference) || Math.abs(difference) < ROUNDED_AWAY) return undefined;
  return difference > 0 ? "good" : "bad";
}

/** Differences are shown in tenths. */
const ROUNDED_AWAY = 0.05;
