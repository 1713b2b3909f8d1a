/** What an adapter misses of the change that it stands for: the matrices that miss most. */
import { type CliIo, tableText } from "./io.js";

const SHOWN = 10;
const PERCENT_DIGITS = 2;

/** One matrix of an adapter. */
export interface MissedMatrix {
  readonly name: string;
  readonly rank: string | number;
  readonly norm: number;
  readonly error: number;
}

/** A share as a number of percent. */
export function percent(share: number): string {
  return (100 * share).toFixed(PERCENT_DIGITS);
}

/** The worst first. */
export function missedTable(matrices: readonly MissedMatrix[], io: Pick<CliIo, "stdout" | "env">): string {
  const worst = matrices.toSorted((a, b) => b.error - a.error).slice(0, SHOWN);
  const rows = worst.map((one) => [one.name, String(one.rank), one.norm.toPrecision(3), percent(one.error)]);
  return tableText([["matrix", "rank", "norm of change", "missed %"], ...rows], io);
}
