/**
 * Coefficients in the forms of other tools. FusionBench: `weights=FILE` with an array [T tasks, L layers] (task-wise [T]), here as .npy. The authors' code: a Python
 * list of rows [1, lambda_1, .., lambda_T], a row for each layer (task-wise one row); the 1 is the base's. Both know tasks and layers by
 * position only, so the names of the tasks must be given; which layer stands where, the family of the models says.
 */
import { CheckpointError } from "../../errors.js";
import type { Layer } from "../../model/family.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import type { CoefficientsRecord } from "../coefficients-file.js";
import type { NpyArray } from "./npy.js";

/** What the authors' code gives to the tensors of the text tower: their coefficients stay where they started. */
const UNTOUCHED = 0.3;

/** The record's value of a task for the tensors of a layer. Throws CheckpointError when they differ, or when the record has none. */
function lambdaOf(record: CoefficientsRecord, task: number, layer: Layer, label: string): number {
  const groups = record.groups.length === 1 ? [record.groups[0]] : layer.map((name) => record.groupOf[name]);
  const [first] = groups;
  const other = groups.findIndex((group) => group !== first);
  const column = record.groups.indexOf(first ?? "");
  const value = record.values[task]?.[column];
  if (value === undefined)
    throw new CheckpointError(`${label}: expected a coefficient for ${layer.join(", ")}, found none`);
  if (other > 0 && record.values[task]?.[record.groups.indexOf(groups[other] ?? "")] !== value)
    throw new CheckpointError(
      `${label}: expected one coefficient for ${layer.join(", ")}, as the authors' code has it, found several; learn with share_qkv=true`,
    );
  return value;
}

/** [T, L], or [T] where one coefficient stands for all layers. */
export function fusionBenchArray(record: CoefficientsRecord, layers: readonly Layer[], label: string): NpyArray {
  const tasks = record.tasks.length;
  if (record.groups.length === 1)
    return { shape: [tasks], values: Float64Array.from(record.values, (row) => row[0] ?? 0) };
  const rows = record.tasks.map((_, task) => layers.map((layer) => lambdaOf(record, task, layer, label)));
  return { shape: [tasks, layers.length], values: Float64Array.from(rows.flat()) };
}

/** A Python literal that the authors' code reads. */
export function officialText(record: CoefficientsRecord, layers: readonly Layer[], label: string): string {
  const places = record.groups.length === 1 ? [[]] : layers;
  const rows = places.map((layer) => [
    1,
    ...record.tasks.map((_, task) =>
      layer.length === 0 && record.groups.length > 1 ? UNTOUCHED : lambdaOf(record, task, layer, label),
    ),
  ]);
  return `[\n${rows.map((row) => `  [${row.join(", ")}],`).join("\n")}\n]\n`;
}

/** The record of an array [T, L] or [T]. `layers` must be as many as the array has. */
export function recordOfArray(
  { shape, values }: NpyArray,
  tasks: readonly string[],
  layers: readonly Layer[],
  label: string,
): CoefficientsRecord {
  const [rows = 0, columns] = shape;
  if (rows !== tasks.length)
    throw new CheckpointError(`${label}: expected rows for ${tasks.length} tasks (${tasks.join(", ")}), found ${rows}`);
  if (columns === undefined || columns === 1)
    return taskWise(
      tasks,
      tasks.map((_, task) => values[task] ?? 0),
    );
  if (columns !== layers.length)
    throw new CheckpointError(
      `${label}: expected ${layers.length} layers, as a tower of this size has in FusionBench, found ${columns}`,
    );
  const row = (task: number) => [...values.subarray(task * columns, (task + 1) * columns)];
  return layerWise(
    tasks,
    layers,
    tasks.map((_, task) => row(task)),
  );
}

/** The record of the authors' list: rows of [1, lambda ..] by layer; one row where it is task-wise. */
export function recordOfOfficial(
  text: string,
  tasks: readonly string[],
  layers: readonly Layer[],
  label: string,
): CoefficientsRecord {
  const rows = officialRows(text, label);
  const wrong = rows.findIndex((row) => row.length !== tasks.length + 1);
  if (wrong >= 0)
    throw new CheckpointError(
      `${label}: row ${wrong}: expected the base's 1 and ${tasks.length} numbers (${tasks.join(", ")}), found ${rows[wrong]?.length} numbers`,
    );
  const based = rows.findIndex((row) => row[0] !== 1);
  if (based >= 0)
    throw new CheckpointError(`${label}: row ${based}: expected 1 for the base, found ${rows[based]?.[0]}`);
  const own = (task: number) => rows.map((row) => row[task + 1] ?? 0);
  if (rows.length === 1)
    return taskWise(
      tasks,
      tasks.map((_, task) => own(task)[0] ?? 0),
    );
  if (rows.length !== layers.length)
    throw new CheckpointError(
      `${label}: expected 1 row or ${layers.length}, as a tower of this size has in the authors' code, found ${rows.length}`,
    );
  const kept = layers.flatMap((layer, index) => (layer.length === 0 ? [] : [index]));
  return layerWise(
    tasks,
    kept.map((index) => layers[index] ?? []),
    tasks.map((_, task) => kept.map((index) => own(task)[index] ?? 0)),
  );
}

/** Nested lists of numbers, as Python or JSON writes them; nothing is executed. */
function officialRows(text: string, label: string): number[][] {
  const wrong = new CheckpointError(
    `${label}: expected a list of lists of numbers, as in the authors' merging_cofficient.py, found something else`,
  );
  const body = text.slice(text.indexOf("["), text.lastIndexOf("]") + 1).replaceAll(/,\s*(?=\])/g, "");
  if (!/^[\d\s.,eE+\-[\]]+$/.test(body)) throw wrong;
  let found: unknown;
  try {
    found = parseBoundedJson(body);
  } catch {
    throw wrong;
  }
  const rows = Array.isArray(found) && found.every((row) => typeof row === "number") ? [found] : found;
  const isRow = (row: unknown): row is number[] =>
    Array.isArray(row) && row.every((value) => typeof value === "number");
  if (Array.isArray(rows) && rows.length > 0 && rows.every(isRow)) return rows;
  throw wrong;
}

function taskWise(tasks: readonly string[], values: readonly number[]): CoefficientsRecord {
  return {
    granularity: "task-wise",
    tasks: [...tasks],
    groups: ["all"],
    values: values.map((value) => [value]),
    groupOf: {},
  };
}

/** Groups are named by their first tensor; layers that hold several tensors say so in `groupOf`. */
function layerWise(
  tasks: readonly string[],
  layers: readonly Layer[],
  values: readonly (readonly number[])[],
): CoefficientsRecord {
  const names = layers.map((layer) => layer[0] ?? "");
  return {
    granularity: "layer-wise",
    tasks: [...tasks],
    groups: names,
    values: values.map((row) => [...row]),
    groupOf: Object.fromEntries(layers.flatMap((layer, index) => layer.map((name) => [name, names[index] ?? ""]))),
  };
}
