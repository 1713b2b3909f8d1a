/**
 * Text of strangers (names in files, messages of servers) made safe for a terminal: nothing in it moves the cursor, colours, hides or turns
 * what stands beside it.
 */

/** What JSON leaves as it is, but a terminal obeys (C1 controls) or hides (marks that turn or join text). */
const UNSHOWN = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A name from an untrusted file, made safe and short for a message. */
export function quote(name: string): string {
  return `"${printable(name.length > 80 ? `${name.slice(0, 77)}...` : name)}"`;
}

/** Text from an untrusted file with everything escaped that is not to be shown, quotes included. */
export function printable(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1);
  return escaped.replace(UNSHOWN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
