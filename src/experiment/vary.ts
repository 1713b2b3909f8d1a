/**
 * A row's `vary`: the settings that make it a curve. A grid gives every combination, a list its entries, and each is a line of the table.
 * Keys are the config's; those that begin with `settings.` are the method's.
 */
import { z } from "zod";

const OF_METHOD = "settings.";
/** A table that is longer helps nobody. */
const MAX_POINTS = 200;

const grid = z.record(z.string(), z.array(z.unknown()).min(1));
const points = z.array(z.record(z.string(), z.unknown())).min(1).max(MAX_POINTS);

export const varySchema = z.union([grid, points]);

/** What one line of a curve sets, by dotted key, the key of the horizontal axis first. */
export type Point = Readonly<Record<string, unknown>>;

/** The lines of a row, in the order of the file; one without settings where nothing varies. */
export function pointsOf(vary: z.output<typeof varySchema> | undefined): Point[] {
  if (vary === undefined) return [{}];
  return Array.isArray(vary) ? vary : combinations(vary);
}

/** Every combination of the values of a grid, the last key fastest. */
export function combinations(grid: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown>[] {
  return Object.entries(grid).reduce<Record<string, unknown>[]>(
    (all, [key, values]) => all.flatMap((settings) => values.map((value) => ({ ...settings, [key]: value }))),
    [{}],
  );
}

/** A point's parts: overrides of the config, and settings of the method. */
export function partsOf(point: Point): { config: Point; settings: Point } {
  const entries = Object.entries(point);
  const ofMethod = entries.filter(([key]) => key.startsWith(OF_METHOD));
  return {
    config: Object.fromEntries(entries.filter(([key]) => !key.startsWith(OF_METHOD))),
    settings: Object.fromEntries(ofMethod.map(([key, value]) => [key.slice(OF_METHOD.length), value])),
  };
}

/** Whether a point has all the settings `at`. */
export function isAt(point: Point, at: Point): boolean {
  return Object.entries(at).every(([key, value]) => JSON.stringify(point[key]) === JSON.stringify(value));
}

/** A value in a label: lists by their length, nothing as `all`, as in limits that are null. */
export function valueText(value: unknown): string {
  if (value === null) return "all";
  if (Array.isArray(value)) return `${value.length}`;
  return typeof value === "object" ? JSON.stringify(value) : `${value}`;
}

/** `point` for a table: last parts of the keys with their values; lists in full. */
export function pointText(point: Point): string {
  return Object.entries(point)
    .map(([key, value]) => `${lastPart(key)}=${Array.isArray(value) ? value.join("+") : valueText(value)}`)
    .join(" ");
}

/** `learning_rate` of `optimizer.learning_rate`. */
export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
