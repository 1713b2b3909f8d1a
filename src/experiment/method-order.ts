/** Whether a table puts its methods in the order in which they stand elsewhere, on other tasks and models: Spearman's rank correlation. */
import { rankCorrelation } from "../report/rank-correlation.js";
import type { OtherOrder } from "./experiment-file.js";
import type { TableRow } from "./table-row.js";

/** How far the order of the methods agrees with their order in other results. */
export interface OrderAgreement {
  readonly by: string;
  readonly source: string;
  /** Methods that both have. */
  readonly methods: number;
  /** From -1 to 1; null for fewer than three methods. */
  readonly correlation: number | null;
}

/**
 * Of the rows with published settings, by their average; of a method that adapts on several splits the first of them counts, since that is the
 * experiment's own.
 */
export function orderAgreement(rows: readonly TableRow[], orders: readonly OtherOrder[]): OrderAgreement[] {
  return orders.map(({ by, source, averages }) => {
    const pairs = Object.entries(averages).flatMap(([name, there]) => {
      const here = rows.find(({ method, setting }) => method === name && setting === "published");
      return here === undefined ? [] : [[here.average, there] as const];
    });
    return { by, source, methods: pairs.length, correlation: rankCorrelation(pairs) ?? null };
  });
}

/** A sentence for each. */
export function orderText(agreements: readonly OrderAgreement[]): string {
  return agreements
    .map(({ by, methods, correlation }) =>
      correlation === null
        ? `Order of the methods beside ${by}: fewer than three methods in common.`
        : `Order of ${methods} methods beside ${by}: Spearman's rank correlation ${correlation.toFixed(2)}.`,
    )
    .join(" ");
}
