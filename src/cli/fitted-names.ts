/** Names of tensors in a terminal that is narrower than their table. */
import { type Cells, columnWidths, GAP } from "../report/table.js";

/** However narrow the terminal is. */
const LEAST_CHARACTERS = 12;
const CUT = "...";

/** The cells with the first column cut from the left, where names differ least, so that lines are `columns` wide at most. Undefined: no limit. */
export function withFittedNames(cells: Cells, columns: number | undefined): Cells {
  const [longest = 0, ...others] = columnWidths(cells);
  const taken = others.reduce((sum, width) => sum + GAP + width, 0);
  const room = Math.max(LEAST_CHARACTERS, (columns ?? Number.POSITIVE_INFINITY) - taken);
  if (longest <= room) return cells;
  return cells.map(([name = "", ...rest]) => [
    name.length > room ? `${CUT}${name.slice(CUT.length - room)}` : name,
    ...rest,
  ]);
}
