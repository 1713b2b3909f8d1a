/** What a run cost and where it ran, as a section of its report. */
import { dataTable } from "./data-table.js";
import type { Section } from "./page.js";

type Row = readonly [quantity: string, value: string];

export function costTable(rows: readonly Row[]): Section {
  const columns = [
    { heading: "quantity", cell: ([name]: Row) => name },
    { heading: "value", cell: ([, value]: Row) => value },
  ];
  return { id: "cost", title: "Cost and machine", body: dataTable({ label: "Cost and machine", rows, columns }) };
}

/** What environment.json says of the machine. */
export function machineRows(environment: Readonly<Record<string, unknown>>): Row[] {
  return ["engine", "device", "cpu", "os", "node"].flatMap((key): Row[] => {
    const value = environment[key];
    return typeof value === "string" ? [[key, value]] : [];
  });
}
