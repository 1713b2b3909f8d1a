/** Shows how much of a known number of bytes is done: on a terminal one line that updates itself, elsewhere a line now and then. */
import { type ConsoleStream, duration, ERASE_LINE } from "./terminal.js";

export interface ByteProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly seconds: number;
}

const EVERY_MS = 200;
const EVERY_MS_IN_LOGS = 10_000;

/** Returns what shows a state of progress, and what ends the line. `clock` gives milliseconds. */
export function createByteProgress(
  stream: ConsoleStream,
  clock: () => number,
): { show(progress: ByteProgress): void; end(): void } {
  const isTerminal = stream.isTTY === true;
  // A merge that is over before the first interval needs no line.
  let last = clock();
  let begun: ByteProgress | undefined;
  let open = false;
  return {
    show: (progress) => {
      begun ??= progress;
      if (clock() - last < (isTerminal ? EVERY_MS : EVERY_MS_IN_LOGS)) return;
      last = clock();
      open = isTerminal;
      stream.write(isTerminal ? `${ERASE_LINE}${line(progress, begun)}` : `${line(progress, begun)}\n`);
    },
    end: () => {
      if (open) stream.write(ERASE_LINE);
      open = false;
    },
  };
}

/** The speed is that of this start: what an earlier one had done does not count. */
function line({ doneBytes, totalBytes, seconds }: ByteProgress, begun: ByteProgress): string {
  const perSecond = (doneBytes - begun.doneBytes) / Math.max(seconds - begun.seconds, 1e-3);
  const left = (totalBytes - doneBytes) / perSecond;
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
  return `${bytesText(doneBytes)} of ${bytesText(totalBytes)}  ${percent} %  ${bytesText(perSecond)}/s  ETA ${duration(left)}`;
}

/** `1.23 GB`, decimal units. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toPrecision(3)} ${units[power]}`;
}
