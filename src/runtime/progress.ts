/** What long work tells of itself while it goes on, a piece at a time. How that is shown is not decided here (track/console.ts). */

/** One piece of work, as far as it is done. */
export interface Progress {
  /** For people, and the name of the piece: "judging weight_averaging". */
  readonly what: string;
  /** The piece is over when `done` reaches `total`. */
  readonly done: number;
  readonly total: number;
  /** What is counted, in the plural ("texts"); absent where a piece is one thing that takes long. */
  readonly unit?: string;
}

/** Is told how far a piece is, when it begins, as it goes on and when it is over. */
export type OnProgress = (progress: Progress) => void;

/** Tells of `work` as one piece that cannot be counted: that it has begun, and that it is over however it ended. */
export function asPiece<T>(onProgress: OnProgress | undefined, what: string, work: () => Promise<T>): Promise<T> {
  return inParts(onProgress, { what, total: 1 }, work);
}

/** Tells of `work` as one piece, of which it is told how many more parts are done; over, too, when the work fails. */
export async function inParts<T>(
  onProgress: OnProgress | undefined,
  piece: Pick<Progress, "what" | "total" | "unit">,
  work: (more: (parts: number) => void) => Promise<T>,
): Promise<T> {
  if (onProgress === undefined || piece.total === 0) return work(() => {});
  let done = 0;
  onProgress({ ...piece, done });
  try {
    return await work((parts) => {
      // Its end is told once, below.
      done = Math.min(piece.total - 1, done + parts);
      onProgress({ ...piece, done });
    });
  } finally {
    onProgress({ ...piece, done: piece.total });
  }
}
