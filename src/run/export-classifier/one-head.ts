/**
 * The head of a model that is to have one: its only head, that of a task, or what heads with the same labels say
 * together. Several linear heads become the mean of their logits, which is one linear head again; heads with a hidden
 * layer have no such mean. C classes, E features.
 */
import { CheckpointError, ConfigError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import { quote } from "../../runtime/printable.js";
import type { SavedClassifier } from "../predict/saved-classifier.js";

export interface OneHead {
  /** Logit scale 1: it is in the weight. */
  readonly head: Head;
  /** In the order of the rows; undefined where nothing names them. */
  readonly names: readonly string[] | undefined;
  /** Whose head it is; of several it is the mean. */
  readonly tasks: readonly string[];
}

/** Tasks that a message names. */
const LISTED = 6;

/** Throws ConfigError where there are several labels to choose from, CheckpointError for heads that have no mean. */
export function oneHead({
  folder,
  heads,
  classes,
  named,
}: Pick<SavedClassifier, "folder" | "heads" | "classes" | "named">): OneHead {
  const [first, ...others] = heads.map(scaled);
  if (first === undefined) throw new CheckpointError(`${folder}: expected a head, found none`);
  const names = named.has(first.task) ? classes.get(first.task) : undefined;
  const ordered = others.map((head) => inOrder(head, names, named.has(head.task) ? classes.get(head.task) : undefined));
  if (ordered.includes(undefined))
    throw new ConfigError(
      `${folder}: expected one head, or heads with the same labels, since a classifier has one set of labels, found ${heads.length} heads with different ones (${listed(heads)}); choose one with --task NAME`,
    );
  const same = [first, ...ordered.filter((head) => head !== undefined)];
  if (same.every((head) => isSame(head, first))) return { head: first, names, tasks: [first.task] };
  if (same.some(({ hidden }) => hidden !== undefined))
    throw new ConfigError(
      `${folder}: expected one head, found ${heads.length} with the same labels and hidden layers of their own (${listed(heads)}), which have no mean; choose one with --task NAME`,
    );
  const mean = (values: (head: Head) => Float32Array): Float32Array =>
    values(first).map((_, at) => same.reduce((sum, head) => sum + (values(head)[at] ?? 0), 0) / same.length);
  const head = { ...first, weight: mean(({ weight }) => weight), bias: mean(({ bias }) => bias) };
  return { head, names, tasks: same.map(({ task }) => task) };
}

function listed(heads: readonly Head[]): string {
  const shown = heads.slice(0, LISTED).map(({ task }) => task);
  return heads.length > LISTED ? `${shown.join(", ")} and ${heads.length - LISTED} more` : shown.join(", ");
}

/** logits = scale * (g weightT) + bias, so that the scale goes into the weight alone. */
function scaled(head: Head): Head {
  if (head.logitScale === 1) return head;
  const weight = head.weight.map((value) => value * head.logitScale);
  if (weight.every(Number.isFinite)) return { ...head, weight, logitScale: 1 };
  throw new CheckpointError(
    `the head ${quote(head.task)}: expected a weight that is finite times its logit scale (${head.logitScale}), found one that is not`,
  );
}

/** The rows of a head in the order of other names; undefined where it has other labels. */
function inOrder(
  head: Head,
  wanted: readonly string[] | undefined,
  own: readonly string[] | undefined,
): Head | undefined {
  if (wanted === undefined || own === undefined || wanted.length !== own.length) return undefined;
  const places = wanted.map((name) => own.indexOf(name));
  if (places.includes(-1)) return undefined;
  const width = head.weight.length / head.classes;
  const weight = new Float32Array(head.weight.length);
  for (const [row, place] of places.entries())
    weight.set(head.weight.subarray(place * width, (place + 1) * width), row * width);
  return { ...head, weight, bias: Float32Array.from(places, (place) => head.bias[place] ?? 0) };
}

function isSame(a: Head, b: Head): boolean {
  const areSame = (x: Float32Array = new Float32Array(), y: Float32Array = new Float32Array()): boolean =>
    x.length === y.length && x.every((value, at) => value === y[at]);
  return (
    areSame(a.weight, b.weight) &&
    areSame(a.bias, b.bias) &&
    a.hidden?.activation === b.hidden?.activation &&
    areSame(a.hidden?.weight, b.hidden?.weight) &&
    areSame(a.hidden?.bias, b.hidden?.bias)
  );
}
