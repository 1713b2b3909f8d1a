/**
 * The head that a fine-tuning begins with: prototypes of the classes in the base's features, drawn as transformers
 * draws classifiers, or text features of the classes' names. C classes, E features.
 */
import type { FinetuneConfig } from "../../config/finetune.js";
import type { LabelledExamples } from "../../data/examples.js";
import { selectExamples } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import type { Engine } from "../../engine/program.js";
import { ConfigError } from "../../errors.js";
import type { ModelFamily } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import { classPrototypes } from "../../model/prototypes.js";
import { inParts, type OnProgress } from "../../runtime/progress.js";
import { createRng } from "../../runtime/rng.js";
import { exampleFeatures } from "../heads/example-features.js";
import { openTextModel } from "../heads/load-heads.js";
import type { TextModelOfSuite } from "../heads/own-texts.js";
import { zeroShotHeads } from "../heads/zero-shot-heads.js";

/** Of each class: a mean of more would hardly move, and each costs a forward. */
const PROTOTYPE_EXAMPLES = 64;
/** Of transformers' classifiers (`initializer_range`). */
const DRAWN_DEVIATION = 0.02;

export interface StartHeadOptions {
  readonly engine: Engine;
  readonly family: ModelFamily;
  readonly own: TextModelOfSuite;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly task: string;
  readonly classes: readonly string[];
  readonly train: LabelledExamples;
  readonly cacheDir: string;
  readonly detail: (line: string) => void;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** Throws ConfigError for a zero-shot head of features that are no directions, and what making it throws. */
export async function startHead(config: FinetuneConfig, options: StartHeadOptions): Promise<Head> {
  const { kind, start } = config.head;
  const head =
    kind === "zero_shot"
      ? await zeroShotHead(config, options)
      : start === "normal"
        ? drawnHead(config, options)
        : await prototypes(config, options);
  // As its file has it: a training that resumes begins with the same bits.
  return { ...head, logitScale: Math.fround(head.logitScale) };
}

async function zeroShotHead({ head, features }: FinetuneConfig, options: StartHeadOptions): Promise<Head> {
  const { family, own, task, classes, engine, cacheDir, detail, onProgress, signal } = options;
  const { model, base } = own;
  if (family.texts !== undefined && family.texts.open === undefined && model.featureChoice?.normalized === false)
    throw new ConfigError(
      `head.kind: expected features of length 1 for a zero_shot head, whose rows are directions, found such of any length (features.normalize ${features.normalize}); say features.pooling=mean features.normalize=true, or take a sentence encoder`,
    );
  const template = head.template ?? family.texts?.prompt ?? "{}";
  const recipe = { templates: [template] };
  const made = await zeroShotHeads(
    [{ task: { name: task, classes: [...classes] }, recipe }],
    {
      textModel: head.text_model ?? base.path,
      openTexts: (path) => openTextModel(family, path, own),
      usualScale: family.texts?.logitScale,
      featureSize: model.featureSize,
      logitScale: head.logit_scale ?? family.texts?.logitScale,
      ...{ cacheDir, detail, onProgress, signal },
    },
    async () => engine,
  );
  const found = made.get(task);
  if (found === undefined) throw new ConfigError(`head.kind: expected a head for ${task}, found none`);
  return { ...found, ...(head.logit_scale === null ? {} : { logitScale: head.logit_scale }) };
}

function drawnHead({ head, seed }: FinetuneConfig, { own, task, classes, family }: StartHeadOptions): Head {
  const { featureSize, featureChoice } = own.model;
  const rng = createRng("finetune", seed, "head");
  const usual = featureChoice?.normalized === true ? (family.texts?.logitScale ?? 1) : 1;
  return {
    ...{ task, classes: classes.length, featureSize, logitScale: head.logit_scale ?? usual },
    weight: Float32Array.from({ length: classes.length * featureSize }, () => DRAWN_DEVIATION * rng.nextNormal()),
    bias: new Float32Array(classes.length),
  };
}

async function prototypes({ head }: FinetuneConfig, options: StartHeadOptions): Promise<Head> {
  const { own, task, classes, family, engine, weights, train, onProgress } = options;
  const { model } = own;
  const some = selectExamples(train, firstOfEach(train.labels));
  const piece = { what: "making the head", total: some.size, unit: kindOf(train.kind).many };
  const featuresNE = await inParts(onProgress, piece, (onExamples) =>
    exampleFeatures(engine, model, weights, some, onExamples),
  );
  const make = (scale?: number) => classPrototypes(featuresNE, some.labels, classes.length, scale);
  const made = make(head.logit_scale ?? undefined) ?? make(family.texts?.logitScale ?? 1);
  if (made === undefined) throw new ConfigError("head.start: expected examples for prototypes, found none");
  const { weightCE: weight, biasC: bias, logitScale } = made;
  return { task, classes: classes.length, featureSize: model.featureSize, logitScale, weight, bias };
}

/** The first examples of each class, in the order of the data. */
function firstOfEach(labels: Int32Array): Uint32Array {
  const counts = new Map<number, number>();
  return Uint32Array.from(
    [...labels.keys()].filter((index) => {
      const label = labels[index] ?? 0;
      const count = counts.get(label) ?? 0;
      counts.set(label, count + 1);
      return count < PROTOTYPE_EXAMPLES;
    }),
  );
}
