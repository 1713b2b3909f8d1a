/** Headings that sort their table: numbers the highest first, texts from A; a third click brings the order of the report back. */

type Direction = "ascending" | "descending";

/** A cell's number: what it carries beside its text, else its text when that is a number. */
function numberOf(cell: HTMLElement | undefined): number {
  const text = cell?.dataset.value ?? cell?.textContent ?? "";
  return text.trim() === "" ? Number.NaN : Number(text);
}

/** Gives every heading of the last row of headings a button. */
export function addSorting(table: HTMLTableElement): void {
  const body = table.tBodies[0];
  if (body === undefined || body.rows.length < 2) return;
  const given = [...body.rows];
  const headings = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
  for (const [column, heading] of headings.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const next = nextDirection(heading.ariaSort, heading.dataset.kind === "number");
      for (const other of headings) other.ariaSort = null;
      heading.ariaSort = next;
      body.append(...(next === null ? given : sorted(given, column, heading.dataset.kind === "number", next)));
    });
  }
}

function nextDirection(now: string | null, isNumber: boolean): Direction | null {
  const first: Direction = isNumber ? "descending" : "ascending";
  if (now === null) return first;
  if (now !== first) return null;
  return first === "ascending" ? "descending" : "ascending";
}

/** Rows without a value stand last either way; equal ones keep the order of the report. */
function sorted(
  rows: readonly HTMLTableRowElement[],
  column: number,
  isNumber: boolean,
  direction: Direction,
): HTMLTableRowElement[] {
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = rows.map((row) => ({ row, number: numberOf(row.cells[column]), text: textOf(row.cells[column]) }));
  if (!isNumber) return keyed.sort((a, b) => sign * a.text.localeCompare(b.text)).map(({ row }) => row);
  const known = keyed.filter(({ number }) => !Number.isNaN(number));
  const unknown = keyed.filter(({ number }) => Number.isNaN(number));
  return [...known.sort((a, b) => sign * (a.number - b.number)), ...unknown].map(({ row }) => row);
}

const textOf = (cell: HTMLElement | undefined): string => cell?.textContent ?? "";
