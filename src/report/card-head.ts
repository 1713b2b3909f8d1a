/**
 * The head of a model card: YAML between two rules, which the Hugging Face hub reads. Source: huggingface_hub,
 * repocard_data.py (ModelCardData, EvalResult), and the hub's metadata specification (docs/hub/model-cards).
 */
import { stringify } from "yaml";
import { shownLine } from "../runtime/printable.js";
import type { Licence } from "./card-facts.js";

/** What a number was measured on. */
export interface CardDataset {
  readonly name: string;
  /** Hub id, or a name where it is from elsewhere. */
  readonly type: string;
  /** Of a data set that has several. */
  readonly config?: string | undefined;
}

/** A number that was measured, as an entry of `model-index`. */
export interface CardResult {
  readonly task: string;
  readonly dataset: CardDataset & { readonly split: string };
  readonly metric: { readonly type: string; readonly name: string; readonly value: number };
}

export interface CardHead {
  /** `transformers`, `sentence-transformers`: what loads the folder. */
  readonly libraryName?: string | undefined;
  /** `image-classification` and the like. */
  readonly pipelineTag?: string | undefined;
  /** Only what the hub can look up: `org/name`. */
  readonly baseModels: readonly string[];
  readonly relation?: string | undefined;
  readonly licence?: Licence | undefined;
  readonly tags: readonly string[];
  readonly results?: { readonly model: string; readonly entries: readonly CardResult[] } | undefined;
}

/** The head with its rules. */
export function cardHead(head: CardHead): string {
  const { libraryName, pipelineTag, baseModels, relation, licence, tags, results } = head;
  const text = stringify(
    {
      ...(licence === undefined ? {} : { license: licence.id }),
      ...(licence?.name === undefined ? {} : { license_name: shownLine(licence.name) }),
      ...(licence?.link === undefined ? {} : { license_link: shownLine(licence.link) }),
      ...(libraryName === undefined ? {} : { library_name: libraryName }),
      ...(pipelineTag === undefined ? {} : { pipeline_tag: pipelineTag }),
      ...(baseModels.length === 0 ? {} : { base_model: baseModels.map(shownLine) }),
      ...(baseModels.length === 0 || relation === undefined ? {} : { base_model_relation: relation }),
      tags,
      ...(results === undefined || results.entries.length === 0 ? {} : { "model-index": [modelIndex(results)] }),
    },
    { lineWidth: 0 },
  );
  return `---\n${text}---`;
}

function modelIndex({ model, entries }: NonNullable<CardHead["results"]>) {
  return {
    name: shownLine(model),
    results: entries.map(({ task, dataset, metric }) => ({
      task: { type: task },
      dataset: {
        ...{ name: shownLine(dataset.name), type: shownLine(dataset.type) },
        ...(dataset.config === undefined ? {} : { config: shownLine(dataset.config) }),
        split: shownLine(dataset.split),
      },
      metrics: [{ ...metric, name: shownLine(metric.name) }],
    })),
  };
}
