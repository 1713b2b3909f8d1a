/**
 * A saved model with one head written as a classifier of transformers: `*ForImageClassification` or
 * `*ForSequenceClassification`, which `pipeline` runs. Only where that class computes what the model does: it has a
 * pooling of its own and normalises nothing. All weights are float32, one in memory at a time. The class's names are
 * the family's (`ClassifierLayout.saved`); which head it is, one-head.ts.
 */
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isAddedName } from "../../checkpoint/companion-names.js";
import { type Companion, findCompanions } from "../../checkpoint/companions.js";
import { type ConfigChange, editConfig, parseConfig } from "../../checkpoint/config-text.js";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { WriteSpec } from "../../checkpoint/safetensors-writer.js";
import { saveCheckpoint } from "../../checkpoint/save-checkpoint.js";
import { readModelText, statingDtype, valueAt } from "../../checkpoint/saved-config.js";
import type { CardWords } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { CheckpointError } from "../../errors.js";
import type { ClassifierLayout } from "../../model/family.js";
import { type Head, isSameFeatures, shownFeatures } from "../../model/heads.js";
import { readCardFacts } from "../../report/card-facts.js";
import { classifierCard } from "../../report/classifier-card.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { requireFolderPlace } from "../../runtime/output-place.js";
import { manifestNames } from "../../runtime/own-files.js";
import { openSavedClassifier, type SavedClassifier } from "../predict/saved-classifier.js";
import { packageVersion } from "../records/records.js";
import { oneHead } from "./one-head.js";

export interface WriteClassifierOptions {
  /** Whose head; needed where there are several with different labels. */
  readonly task?: string | undefined;
  /** Replace an earlier result, if it is all that the folder holds. */
  readonly overwrite: boolean;
  readonly notice: (text: string) => void;
}

/** The folder that was written, its class of transformers and its classes. */
export interface WrittenClassifier {
  readonly folder: string;
  /** The class of transformers. */
  readonly architecture: string;
  /** For `pipeline`. */
  readonly pipeline: CardWords["classification"];
  readonly classes: readonly string[];
  /** Whose heads it has; of several the mean. */
  readonly tasks: readonly string[];
}

type SavedLayout = ClassifierLayout & Required<Pick<ClassifierLayout, "saved">>;

const CONFIG = "config.json";
const TOKENIZER_CONFIG = "tokenizer_config.json";
const REPLACING: Replacing = { recognise: formerCheckpoint };
/** What makes a folder a sentence encoder, and our heads: a classifier is neither. */
const NOT_ITS_OWN =
  /^(?:heads\/|\d+_[A-Z]|modules\.json$|config_sentence_transformers\.json$|sentence_[\w-]+_config\.json$)/;
const INSTEAD =
  "Nothing is lost: label with `adamerge predict`, with the Python lines of the model's README.md, or export to ONNX (`adamerge export MODEL -o FILE.onnx`)";

/**
 * Writes the model in `place` (its folder, or that of its run) to `output`. Throws CheckpointError for a model without
 * heads or whose class computes something else, and ConfigError for a head to be chosen and an output that is taken.
 */
export async function writeClassifier(
  place: string,
  output: string,
  { task, overwrite, notice }: WriteClassifierOptions,
): Promise<WrittenClassifier> {
  const saved = await openSavedClassifier(place, { tasks: task === undefined ? undefined : [task], notice });
  await settleReplaced(output, REPLACING);
  await requireFolderPlace(output, {
    shown: `--output ${output}`,
    inputs: [{ path: saved.folder, what: "the model" }],
    overwrite,
    ...REPLACING,
  });
  const { folder, family, model } = saved;
  const where = join(folder, CONFIG);
  const text = (await readModelText(folder, CONFIG)) ?? "";
  const adapted = saved.heads.find(({ adapter }) => adapter !== undefined);
  if (adapted !== undefined)
    throw new CheckpointError(
      `${folder}: expected a head that reads the model's features as they are, found an adapter before the head of ${adapted.task} (heads surgery), which no class of transformers has. ${INSTEAD}.`,
    );
  const { head, names, tasks } = oneHead(saved);
  const layout = layoutOf(saved, valueAt(parseConfig(text, where), "model_type"), head);
  const classes = names ?? Array.from({ length: head.classes }, (_, row) => `LABEL_${row}`);
  if (names === undefined) notice(`nothing names the classes of ${head.task}: they are called LABEL_0, LABEL_1, ...`);
  if (tasks.length > 1) notice(`the classifier's logits are the mean of the heads ${tasks.join(", ")}`);
  const { card } = kindOf(family.kind);
  const files = await companionsOf(saved);
  const own = new Map(headTensors(layout, head));
  const encoder = new Map(model.tensors.map(({ name, shape }) => [layout.saved.prefix + name, { name, shape }]));
  const along = new Map(tensorsAlong(saved, layout));
  await saveCheckpoint(output, {
    config: configOf(text, layout, classes, where),
    companions: files.companions,
    readme: classifierCard({
      ...{ name: basename(output), architecture: layout.architecture, words: card, classes, tasks },
      ...{ facts: await readCardFacts(folder), version: packageVersion() },
    }),
    beside: files.writeRest,
    replace: overwrite ? REPLACING : undefined,
    specs: [...encoder, ...along, ...own].map(([name, { shape }]): WriteSpec => ({ name, shape, dtype: "F32" })),
    data: (name) => {
      const stored = along.get(name)?.stored;
      if (stored !== undefined) return saved.checkpoint.readFloat32(stored);
      return own.get(name)?.values ?? saved.weight(encoder.get(name)?.name ?? name);
    },
  });
  return { folder: output, architecture: layout.architecture, pipeline: card.classification, classes, tasks };
}

/** The class that computes what the model and its head do. Throws CheckpointError where there is none. */
function layoutOf({ folder, family, model }: SavedClassifier, modelType: unknown, head: Head): SavedLayout {
  const refuse = (what: string, more = ""): never => {
    throw new CheckpointError(`${folder}: no folder for transformers' pipeline: ${what}. ${INSTEAD}.${more}`);
  };
  const features = model.featureChoice;
  const known = family.classifiers.filter(isSaved).filter(({ saved }) => saved.modelType === modelType);
  const [layout] = known;
  if (layout === undefined || features === undefined) {
    const other = [...(family.otherClassifiers ?? [])].map(([name, reads]) => `${name} reads ${reads}`);
    const own = features === undefined ? "" : `; the model's features are ${shownFeatures(features)}`;
    return refuse(
      `expected a model that transformers has a classifier for, found a ${family.title}, which has none that reads its features${other.length > 0 ? ` (${other.join(", ")}${own})` : own}`,
    );
  }
  const fitting = known.find((one) => isSameFeatures(one.features, features));
  if (fitting === undefined)
    return refuse(
      `its class for this architecture (${layout.architecture}) reads other features (${shownFeatures(layout.features)}) than this model has (${shownFeatures(features)})`,
      settingsText(layout),
    );
  const wanted = fitting.hidden?.activation;
  const found = head.hidden?.activation;
  if (wanted !== found)
    return refuse(
      `expected the head of ${head.task} to have ${hiddenText(wanted)}, as ${fitting.architecture} has, found ${hiddenText(found)}`,
    );
  if (head.hidden !== undefined && head.hidden.size !== model.featureSize)
    return refuse(
      `expected the hidden layer of ${head.task} to be as wide as the features (${model.featureSize}), as in ${fitting.architecture}, found ${head.hidden.size}`,
    );
  // transformers takes a single logit for a yes or no.
  if (head.classes < 2) return refuse(`expected at least two classes, found ${head.classes} (${head.task})`);
  return fitting;
}

/** A fine-tuning has heads without a hidden layer alone: of other classes it makes none. */
function settingsText({ features: { pooling, normalized }, hidden }: SavedLayout): string {
  if (hidden !== undefined) return "";
  return ` \`adamerge finetune BASE DATA features.pooling=${pooling} features.normalize=${normalized}\` trains a model that has one.`;
}

const isSaved = (layout: ClassifierLayout): layout is SavedLayout => layout.saved !== undefined;

function hiddenText(activation: string | undefined): string {
  return activation === undefined ? "no hidden layer" : `a hidden layer with ${activation}`;
}

/** By the names of the class, what the model's file calls them. */
function tensorsAlong({ checkpoint: { tensors } }: SavedClassifier, { saved: { prefix, along = [] } }: SavedLayout) {
  return along.flatMap((name) => {
    const found = [...tensors].find(([stored]) => stored === name || stored.endsWith(`.${name}`));
    return found === undefined ? [] : [[prefix + name, { stored: found[0], shape: found[1].shape }] as const];
  });
}

interface HeadTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function headTensors({ weight, bias, hidden }: ClassifierLayout, head: Head): (readonly [string, HeadTensor])[] {
  const width = head.hidden?.size ?? head.featureSize;
  const layer = head.hidden;
  return [
    ...(hidden === undefined || layer === undefined
      ? []
      : ([
          [hidden.weight, { shape: [layer.size, head.featureSize], values: layer.weight }],
          [hidden.bias, { shape: [layer.size], values: layer.bias }],
        ] as const)),
    [weight, { shape: [head.classes, width], values: head.weight }],
    [bias, { shape: [head.classes], values: head.bias }],
  ];
}

/** The model's own, said to be of the classifier. */
function configOf(text: string, { architecture }: ClassifierLayout, classes: readonly string[], where: string): string {
  const changes: ConfigChange[] = [
    { path: ["architectures"], value: [architecture] },
    { path: ["id2label"], value: new Map(classes.map((name, row) => [String(row), name])) },
    { path: ["label2id"], value: new Map(classes.map((name, row) => [name, row])) },
    { path: ["problem_type"], value: "single_label_classification" },
    // They follow from the labels, and would be those of another classifier.
    ...["num_labels", "_num_labels"].map((key) => ({ path: [key], value: undefined })),
  ];
  return editConfig(statingDtype(text, ["F32"], { isAdded: false }, where), changes, where);
}

/** Tokenizer, preprocessing, licence; texts are cut where the head's were, which the tokenizer is told. */
async function companionsOf({ folder, model, maxLength }: SavedClassifier): Promise<{
  readonly companions: readonly Companion[];
  readonly writeRest: (folder: string) => Promise<void>;
}> {
  const isEdited = (name: string): boolean => model.lengths !== undefined && name === TOKENIZER_CONFIG;
  // Of a folder that we wrote, what others put into it stays there.
  const noted = await manifestNames(folder);
  const isOurs = (name: string): boolean => noted === undefined || noted.has(name) || isAddedName(name);
  const wanted = (name: string): boolean => !NOT_ITS_OWN.test(name) && !isEdited(name) && isOurs(name);
  const { files } = await findCompanions(folder, { own: [], wanted });
  const longest = model.lengths?.at(-1);
  if (longest === undefined) return { companions: files, writeRest: async () => {} };
  const where = join(folder, TOKENIZER_CONFIG);
  const own = (await readModelText(folder, TOKENIZER_CONFIG)) ?? "{}\n";
  const value = Math.min(longest, maxLength ?? longest);
  const text = editConfig(own, [{ path: ["model_max_length"], value }], where);
  return { companions: files, writeRest: (to) => writeFile(join(to, TOKENIZER_CONFIG), text) };
}
