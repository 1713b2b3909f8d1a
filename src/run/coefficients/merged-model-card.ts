/** The model card of a merge of a suite: what its models, data sets, heads and rows come to, for report/model-card.ts. */
import { basename, dirname, join } from "node:path";
import { parseConfig } from "../../checkpoint/config-text.js";
import { parseUri } from "../../checkpoint/hub/reference.js";
import type { RunConfig } from "../../config/schema.js";
import { isClassifier, prototypesOf, zeroShotOf } from "../../data/head-recipes.js";
import { kindOf } from "../../data/kinds.js";
import type { SuiteTask } from "../../data/suite.js";
import { familyOf } from "../../model/families.js";
import { readCardFacts } from "../../report/card-facts.js";
import type { CardDataset } from "../../report/card-head.js";
import { type CardModel, modelCard, type Usage } from "../../report/model-card.js";
import type { ResultRow } from "../../report/summary.js";
import type { CoefficientsRecord } from "../../track/coefficients-file.js";
import { learnedHeadBytes } from "../heads/learned-bytes.js";
import { packageVersion } from "../records/records.js";
import type { Inputs } from "../session/inputs.js";
import type { SavedModel } from "../suite/saved-model.js";

export interface CardOptions {
  /** The last is the merged model's own; none where nothing was measured. */
  readonly rows: readonly ResultRow[];
  /** What its reader must be told besides, in sentences; default: nothing. */
  readonly notices?: readonly string[];
  /** What the model is saved as, and where it lies from the card; undefined where it is not saved. */
  readonly saved: SavedModel | undefined;
  readonly folder: "." | "model";
}

/** The card's text. Reads the cards of the models. */
export async function cardOf(
  inputs: Inputs,
  config: RunConfig,
  coefficients: CoefficientsRecord,
  { rows, notices = [], saved, folder }: CardOptions,
): Promise<string> {
  const { named, suite, tasks, encoder } = inputs;
  const kind = kindOf(encoder.kind);
  const own = rows.at(-1);
  const name = `${suite.name} merged by adamerge`;
  return modelCard({
    ...{ name, config, kind, coefficients, rows, notices, version: packageVersion() },
    models: [
      await cardModel(localBaseName(suite), named.base, suite.base),
      ...(await Promise.all(
        tasks.map((task) => {
          const origin = named.tasks.find((one) => one.name === task.name)?.expert ?? task.expert;
          return cardModel(`${suite.name}/${task.name}`, origin, task.expert);
        }),
      )),
    ],
    ...(own === undefined ? {} : { measured: { row: own, datasets: datasetsOf(inputs) } }),
    heads: headText(tasks, kind.many),
    headBytes: learnedHeadBytes(inputs.heads, config),
    ...(saved === undefined ? {} : { usage: usageOf(inputs, saved, folder) }),
  });
}

/** The name of its folder, where that says what is in it; never where it lies. */
export function localBaseName({ name, base }: Pick<Inputs["suite"], "name" | "base">): string {
  const folder = basename(base, ".safetensors");
  return /^(?:base|model|pretrained|checkpoint|pytorch_model|[0-9a-f]{12,})$/i.test(folder) ? `${name}/base` : folder;
}

async function cardModel(ownName: string, origin: string, path: string): Promise<CardModel> {
  const hubId = parseUri(origin)?.id;
  return { name: hubId ?? ownName, hubId, facts: await readCardFacts(path) };
}

function datasetsOf({ named, judged, suite }: Inputs): ReadonlyMap<string, CardDataset> {
  return new Map(
    judged.map(({ name, title, reading }) => {
      const origin = named.tasks.find((task) => task.name === name)?.dataset ?? "";
      const type = parseUri(origin)?.id ?? `${suite.name}-${name}`;
      return [name, { name: title, type, config: reading?.parameters.config }];
    }),
  );
}

/** How the first head is asked. */
function usageOf({ heads, model, named, suite }: Inputs, saved: SavedModel, folder: string): Usage | undefined {
  const [head] = heads;
  if (head === undefined) return undefined;
  const config = parseConfig(saved.config, join(dirname(suite.base), "config.json"));
  const family = familyOf(config, suite.base);
  const { featureChoice: features, lengths } = model;
  const longest = lengths === undefined ? undefined : Math.min(lengths.at(-1) ?? 0, suite.maxLength ?? Infinity);
  // Features that the suite names itself need not be those of the modules.
  const isSentenceEncoder = named.features === undefined && saved.companions.some(({ name }) => name === MODULES);
  return {
    ...{ folder, task: head.task, activation: head.hidden?.activation, hasAdapter: head.adapter !== undefined },
    python: features === undefined ? undefined : family.python?.({ config, features, longest, isSentenceEncoder }),
  };
}

const MODULES = "modules.json";

/** Where heads are, what they are from, and what they were made of, labels above all. */
function headText(tasks: readonly SuiteTask[], examples: string): string {
  const prototypes = tasks.flatMap(({ name, head }) => {
    const recipe = prototypesOf(head);
    return recipe === undefined ? [] : [`${name} (\`${recipe.split}\`, features of the ${recipe.model})`];
  });
  const classifiers = tasks.flatMap(({ name, head }) => (isClassifier(head) ? [name] : []));
  const zeroShot = tasks.flatMap(({ name, head }) => (zeroShotOf(head) === undefined ? [] : [name]));
  const sentences = [
    "The model gives features; a head for each task makes labels of them. Heads lie in `heads/` beside the weights, a safetensors file each, and `adamerge predict` labels with all of them.",
    ...(classifiers.length === 0
      ? []
      : [
          `The heads of these tasks are the classifiers that their experts were saved with: ${classifiers.join(", ")}.`,
        ]),
    ...(prototypes.length === 0
      ? []
      : [
          `The heads of these tasks are class prototypes of labelled ${examples} of a split: ${prototypes.join(", ")}.`,
        ]),
    ...(zeroShot.length === 0
      ? []
      : [`The heads of these tasks are text features of the classes' names: ${zeroShot.join(", ")}.`]),
  ];
  return sentences.join(" ");
}
