/** The pieces of work that are going on, in one line for a terminal or in words for a log. It keeps when each began; it writes nothing itself. */
import { shownLine } from "../runtime/printable.js";
import type { Progress } from "../runtime/progress.js";
import { bytesText, duration } from "./terminal.js";

/** The unit of pieces that are counted in bytes. */
export const BYTES = "bytes";

const BAR_COLUMNS = 22;
const LEAST_BAR_COLUMNS = 8;
const LEAST_NAME_COLUMNS = 16;
const GAP = "  ";
const ELLIPSIS = "...";
/** Before that the time left would jump about. */
const KNOWN_AFTER_SECONDS = 1;

interface Piece extends Progress {
  readonly beganMs: number;
  /** Done already when it began: a download that goes on. */
  readonly before: number;
}

export interface Pieces {
  /** Takes note of a piece; one that is done is forgotten. */
  update(progress: Progress): void;
  readonly isEmpty: boolean;
  /** The piece that began first, in at most `columns`; empty when there is none. */
  line(columns: number): string;
  /** The same in words, for a log, where its piece has gone on for `leastMs` since it began or since this was last asked for; else undefined. */
  words(leastMs: number): string | undefined;
}

/** `clock` gives milliseconds. */
export function createPieces(clock: () => number): Pieces {
  const pieces = new Map<string, Piece>();
  const toldMs = new Map<string, number>();
  const first = (): Piece | undefined => pieces.values().next().value;
  return {
    update: (progress) => {
      const { what, done, total } = progress;
      const known = pieces.get(what);
      if (done < total) {
        pieces.set(what, { ...progress, beganMs: known?.beganMs ?? clock(), before: known?.before ?? done });
        return;
      }
      pieces.delete(what);
      toldMs.delete(what);
    },
    get isEmpty() {
      return pieces.size === 0;
    },
    line: (columns) => {
      const piece = first();
      if (piece === undefined) return "";
      const { what, facts, share } = factsOf(piece, clock());
      const told = facts.join(GAP);
      // Where it is narrow the bar gives way first, then the name; the bar goes where the name would be cut to nothing.
      const room = columns - told.length - GAP.length;
      const withOthers = `${what}${pieces.size > 1 ? ` and ${pieces.size - 1} more` : ""}`;
      const name = withOthers.length <= room ? withOthers : what;
      const bar =
        share === undefined || room < LEAST_NAME_COLUMNS + framed(LEAST_BAR_COLUMNS)
          ? ""
          : barOf(share, Math.min(BAR_COLUMNS, Math.max(LEAST_BAR_COLUMNS, room - name.length - framed(0))));
      const shown = shortened(name, Math.max(room - bar.length, LEAST_NAME_COLUMNS));
      return `${shown}${bar}${GAP}${told}`.slice(0, columns);
    },
    words: (leastMs) => {
      const piece = first();
      if (piece === undefined) return undefined;
      const now = clock();
      if (now - (toldMs.get(piece.what) ?? piece.beganMs) < leastMs) return undefined;
      toldMs.set(piece.what, now);
      const { what, facts } = factsOf(piece, now);
      return `${what}: ${facts.join(", ")}`;
    },
  };
}

function factsOf({ what, done, total, unit, beganMs, before }: Piece, now: number) {
  const seconds = (now - beganMs) / 1000;
  const isCounted = total > 1;
  const share = isCounted ? done / total : undefined;
  const perSecond = (done - before) / seconds;
  const isKnown = done > before && seconds >= KNOWN_AFTER_SECONDS;
  const amount = (value: number) => (unit === BYTES ? bytesText(value) : String(value));
  const facts = [
    ...(share === undefined ? [] : [`${Math.floor(100 * share)} %`]),
    ...(isCounted
      ? [`${amount(done)} of ${amount(total)}${unit === undefined || unit === BYTES ? "" : ` ${unit}`}`]
      : []),
    ...(isKnown && unit === BYTES ? [`${bytesText(perSecond)}/s`] : []),
    isKnown ? `${duration((total - done) / perSecond)} left` : duration(seconds),
  ];
  return { what: shownLine(what), facts, share };
}

/** Columns of a bar with what stands around it. */
function framed(columns: number): number {
  return columns + GAP.length + "[]".length;
}

function barOf(share: number, columns: number): string {
  const full = Math.floor(share * columns);
  return `${GAP}[${`${"=".repeat(full)}${">".repeat(full < columns ? 1 : 0)}`.padEnd(columns)}]`;
}

/** Cut in its middle: paths and names differ at their ends. */
function shortened(name: string, columns: number): string {
  if (name.length <= columns) return name;
  const kept = columns - ELLIPSIS.length;
  return `${name.slice(0, Math.ceil(kept / 2))}${ELLIPSIS}${name.slice(name.length - Math.floor(kept / 2))}`;
}
