/**
 * The classifiers that fine-tuned models are saved with, as transformers' `*ForImageClassification` and `*ForSequenceClassification` are: which of
 * a family's an expert has, its classes, and its tensors as a head. C classes, E features, H width of a dense layer.
 */

import { readAdapter } from "../checkpoint/adapter/adapter.js";
import { type Checkpoint, checkpointOf, openCheckpoint } from "../checkpoint/checkpoint.js";
import { unwrappedNames } from "../checkpoint/layout/plain-names.js";
import { architecturesOf, valueAt } from "../checkpoint/saved-config.js";
import { requireFinite, tensorPlace } from "../checkpoint/task-vectors.js";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import type { ClassifierLayout, ModelFamily } from "./family.js";
import type { Head } from "./heads.js";

export interface FoundClassifier {
  readonly layout: ClassifierLayout;
  readonly classes: number;
  /** `id2label` of config.json, in the order of the rows; undefined where it has none, or transformers' own LABEL_0, LABEL_1. */
  readonly names: readonly string[] | undefined;
  /** What a tensor is called in the expert's files, by its name without wrappers. */
  readonly stored: ReadonlyMap<string, string>;
}

/** What transformers calls classes that nobody named. */
const UNNAMED = /^LABEL_\d+$/;

/**
 * The classifier of an expert by its config.json and tensors; undefined for a model without one, or whose class is none of the family's. Throws
 * CheckpointError for a classifier that is refused by name, and for a config that names a classifier whose tensors are not there.
 */
export function findClassifier(
  { config, tensors, path }: Pick<Checkpoint, "config" | "tensors" | "path">,
  { classifiers, unreadClassifiers }: Pick<ModelFamily, "classifiers" | "unreadClassifiers">,
): FoundClassifier | undefined {
  const architectures = architecturesOf(config);
  for (const [architecture, why] of unreadClassifiers ?? [])
    if (architectures.includes(architecture))
      throw new CheckpointError(`${path}: the classifier of a ${architecture} is not read: ${why}`);
  const stored = unwrappedNames(tensors.keys(), path);
  // An adapter has no config of the model; its classifier was trained whole and lies beside the factors.
  const layout =
    config === undefined
      ? classifiers.find((known) => namesOf(known).every((name) => stored.has(name)))
      : classifiers.find(({ architecture }) => architectures.includes(architecture));
  if (layout === undefined) return undefined;
  const shape = tensors.get(stored.get(layout.weight) ?? "")?.shape;
  const [classes] = shape ?? [];
  if (classes === undefined || shape?.length !== 2)
    throw new CheckpointError(
      `${path}: expected the classifier of a ${layout.architecture} (config.json), a tensor ${layout.weight} [classes, features], found ${shape === undefined ? "none" : `shape [${shape.join(", ")}]`}; save the model with its head, or give another head`,
    );
  const labels = labelsOf(config);
  const isNamed = labels !== undefined && labels.length === classes && !labels.every((label) => UNNAMED.test(label));
  return { layout, classes, names: isNamed ? labels : undefined, stored };
}

function namesOf({ weight, bias, hidden }: ClassifierLayout): readonly string[] {
  return [weight, bias, ...(hidden === undefined ? [] : [hidden.weight, hidden.bias])];
}

/** What an expert's files hold besides or around the model: those of a checkpoint, or what a LoRA adapter has beside its factors. */
export async function openWithClassifier(path: string): Promise<Checkpoint> {
  const adapter = await readAdapter(path, (name) => name);
  if (adapter === undefined) return openCheckpoint(path);
  return checkpointOf(path, undefined, { tensors: adapter.replaced, format: adapter.format });
}

/** The head of an expert at `path` that was saved with one. Throws CheckpointError where it was not, or where it does not fit the task. */
export async function readClassifier(
  path: string,
  family: Pick<ModelFamily, "classifiers" | "unreadClassifiers" | "title">,
  expected: { readonly task: string; readonly classes: number; readonly featureSize: number },
): Promise<Head> {
  const checkpoint = await openWithClassifier(path);
  const found = findClassifier(checkpoint, family);
  if (found === undefined)
    throw new CheckpointError(
      `${path}: expected a model that was saved with its classifier (${family.classifiers.map(({ architecture }) => architecture).join(", ") || `none is known for ${family.title}`}), found ${shownArchitecture(checkpoint.config)}; give the file of a head, or how it is made`,
    );
  const { layout, stored: names } = found;
  const { task, classes, featureSize } = expected;
  if (found.classes !== classes)
    throw new CheckpointError(
      `${path}: ${layout.weight}: expected ${classes} rows, the classes of task ${task}, found ${found.classes}; name the classes in the order of the expert's id2label`,
    );
  const read = async (name: string, shape: readonly number[]): Promise<Float32Array> => {
    const stored = names.get(name) ?? name;
    const own = checkpoint.tensors.get(stored)?.shape;
    if (own?.join() !== shape.join())
      throw new CheckpointError(
        `${path}: ${name}: expected shape [${shape.join(", ")}] (classes of task ${task}, features of the model), found ${own === undefined ? "none" : `[${own.join(", ")}]`}; is it fine-tuned from this base?`,
      );
    const values = await checkpoint.readFloat32(stored);
    requireFinite(values, tensorPlace(path, stored));
    return values;
  };
  const { hidden } = layout;
  const size =
    hidden === undefined ? featureSize : (checkpoint.tensors.get(names.get(hidden.weight) ?? "")?.shape[0] ?? 0);
  return {
    task,
    classes,
    featureSize,
    logitScale: 1,
    ...(hidden === undefined
      ? {}
      : {
          hidden: {
            size,
            weight: await read(hidden.weight, [size, featureSize]),
            bias: await read(hidden.bias, [size]),
            activation: hidden.activation,
          },
        }),
    weight: await read(layout.weight, [classes, size]),
    bias: await read(layout.bias, [classes]),
  };
}

/** The tensors of an expert's classifier by their names in its files; none where it has none. Throws what `findClassifier` does. */
export function classifierTensors(
  checkpoint: Pick<Checkpoint, "config" | "tensors" | "path">,
  family: Pick<ModelFamily, "classifiers" | "unreadClassifiers">,
): ReadonlySet<string> {
  const found = findClassifier(checkpoint, family);
  if (found === undefined) return new Set();
  return new Set(namesOf(found.layout).map((name) => found.stored.get(name) ?? name));
}

function shownArchitecture(config: unknown): string {
  const [first] = architecturesOf(config);
  return first === undefined ? "no architecture in config.json" : `a ${quote(first)}`;
}

/** `id2label` of transformers, in the order of its numbers; undefined where there is none. */
export function labelsOf(config: unknown): readonly string[] | undefined {
  const labels = valueAt(config, "id2label");
  if (typeof labels !== "object" || labels === null) return undefined;
  const entries = Object.entries(labels).toSorted(([a], [b]) => Number(a) - Number(b));
  return entries.every(([, label]) => typeof label === "string")
    ? entries.map(([, label]) => String(label))
    : undefined;
}
