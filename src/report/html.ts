/** Text made safe for HTML. */
import { shownText } from "../runtime/printable.js";

/** Text in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return shownText(text).replaceAll(/[&<>"']/g, (character) => names[character] ?? character);
}

/** Escaped, but for `code` in backquotes. */
export function htmlWithCode(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}
