/** A search field over a long table, a choice for every column that has one, and how many rows are left. */

/** Shorter tables are seen at a glance. */
const FILTERED_ROWS = 8;
/** Of values drawn at random there are as many as rows, and none is worth choosing. */
const MOST_CHOICES = 16;

export function addFilters(table: HTMLTableElement): void {
  const rows = [...(table.tBodies[0]?.rows ?? [])];
  if (rows.length < FILTERED_ROWS) return;
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Filter rows";
  search.setAttribute("aria-label", "Filter rows");
  const count = document.createElement("output");
  const choices = choicesOf(table, rows);
  const bar = document.createElement("div");
  bar.className = "filters";
  bar.append(search, ...choices.map(({ select }) => select), count);
  table.parentElement?.before(bar);
  const update = (): void => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = (row.textContent ?? "").toLowerCase();
      const isChosen = choices.every(
        ({ select, column }) => select.value === "" || shownIn(row, column) === select.value,
      );
      row.hidden = !isChosen || !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  };
  bar.addEventListener("input", update);
  update();
}

interface Choice {
  readonly select: HTMLSelectElement;
  readonly column: number;
}

/** One per column that is marked and whose rows differ. */
function choicesOf(table: HTMLTableElement, rows: readonly HTMLTableRowElement[]): Choice[] {
  const headings = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
  return headings.flatMap((heading, column) => {
    const values = [...new Set(rows.map((row) => shownIn(row, column)))];
    if (heading.dataset.filter === undefined || values.length < 2 || values.length > MOST_CHOICES) return [];
    const name = heading.textContent ?? "";
    const select = document.createElement("select");
    select.setAttribute("aria-label", `Show ${name}`);
    select.append(new Option(`${name}: all`, ""), ...values.map((value) => new Option(value, value)));
    return [{ select, column }];
  });
}

const shownIn = (row: HTMLTableRowElement, column: number): string => row.cells[column]?.textContent ?? "";
