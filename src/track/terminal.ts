/** What is shown to people while work goes on is written to such streams. */

/** The part of a writable stream that is used; process.stderr fits. */
export interface ConsoleStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  /**
   * On a terminal where lines can be rewritten: one that stays below all that is written until the next replaces it; the empty text takes it
   * away.
   */
  readonly live?: ((line: string) => void) | undefined;
}

/** Width of a terminal that does not tell its own. */
export const DEFAULT_COLUMNS = 80;

/** `7 s`, `2:05` (minutes), `1:02:05` (hours); `?` when not known. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

/** `1.23 GB`, decimal units. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toPrecision(3)} ${units[power]}`;
}
