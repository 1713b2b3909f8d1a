/**
 * Text of strangers (names in files, messages of servers) made safe for a terminal: nothing in it moves the cursor, colours, hides or turns
 * what stands beside it.
 */

/** What JSON leaves as it is, but a terminal obeys (C1 controls) or hides (marks that turn, join or annotate text, tags). */
const UNSHOWN =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
/** The control characters that JSON escapes, and the others, but for line breaks and tabs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const LINE_CONTROLS = /[\u0000-\u001f]/g;

/** A name from an untrusted file, made safe and short for a message. */
export function quote(name: string): string {
  return `"${printable(name.length > 80 ? `${name.slice(0, 77)}...` : name)}"`;
}

/** Text from an untrusted file with everything escaped that is not to be shown, quotes included. */
export function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1).replace(UNSHOWN, escaped);
}

/** The first `most` names made safe, and how many more there are. */
export function printableList(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).map(printable).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** Text of several lines as it is, but for what a terminal would obey or hide. What is printable already stays as it is. */
export function shownText(text: string): string {
  return text.replace(CONTROLS, escaped).replace(UNSHOWN, escaped);
}

/** Text for one line or one cell: a line break is escaped too. */
export function shownLine(text: string): string {
  return text.replace(LINE_CONTROLS, escaped).replace(UNSHOWN, escaped);
}

/** As JSON has it, so that what is escaped within JSON stays JSON. */
function escaped(characters: string): string {
  return characters
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
