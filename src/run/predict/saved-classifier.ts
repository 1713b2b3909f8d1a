/**
 * A saved model that can classify: the folder of a merged model with its heads, opened as the model that it was
 * evaluated as. A model that transformers saved with a classifier is one too, with a single head.
 */
import { readClassifier } from "../../model/classifiers.js";
import type { Head } from "../../model/heads.js";
import { noHeads, OWN_HEAD, openSavedEncoder, type SavedEncoder } from "./saved-encoder.js";

export interface SavedClassifier extends SavedEncoder {
  readonly heads: readonly Head[];
  /** Of each head's rows, by task; their numbers where nothing names them. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  /** Tasks whose classes have names. */
  readonly named: ReadonlySet<string>;
}

/**
 * As `openSavedEncoder`, with the heads' numbers. Throws CheckpointError also for a model without heads.
 */
export async function openSavedClassifier(
  place: string,
  { tasks, notice }: { readonly tasks?: readonly string[] | undefined; readonly notice: (text: string) => void },
): Promise<SavedClassifier> {
  const saved = await openSavedEncoder(place, tasks);
  const { folder, family, model, headFiles, classifier } = saved;
  if (headFiles.size === 0 && classifier === undefined) throw noHeads(folder);
  const heads = await Promise.all([...headFiles].map(([task, file]) => file.read(task)));
  if (classifier !== undefined)
    heads.push(
      await readClassifier(folder, family, {
        ...{ task: OWN_HEAD, classes: classifier.classes, featureSize: model.featureSize },
      }),
    );
  const namesOf = (task: string) => classifier?.names ?? headFiles.get(task)?.classes;
  for (const { task } of heads)
    if (namesOf(task) === undefined) notice(`the head ${task} names no classes: labels are the numbers of its rows`);
  return {
    ...saved,
    heads,
    classes: new Map(heads.map(({ task, classes }) => [task, namesOf(task) ?? numbers(classes)])),
    named: new Set(heads.flatMap(({ task }) => (namesOf(task) === undefined ? [] : [task]))),
  };
}

function numbers(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}
