/**
 * A family from outside the package, which nothing has checked before: its fields, and what its functions return, are looked at here, and what
 * they throw is told as a mistake in the family's module. What a family is, family.ts says.
 */
import { z } from "zod";
import type { TowerLayout } from "../checkpoint/layout/tensor-layout.js";
import type { Encoder } from "../data/encoder.js";
import { ConfigError, UserError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import {
  BLOCK_HALVES,
  type ClassifierLayout,
  type FeatureChoice,
  type Model,
  type ModelFamily,
  type ModelParts,
  type ModelTensor,
  POOLINGS,
} from "./family.js";

const KINDS = ["image", "text"] as const satisfies readonly ModelFamily["kind"][];
const PARTS = ["embeddings", "block", "output"] as const satisfies readonly ModelTensor["part"][];
/** Shown at once; one mistake often makes many. */
const MOST_PROBLEMS = 8;
const ADVICE = "docs/extending/family.md has an example";

const text = z.string().min(1, "expected a text, found an empty one");
const callable = z.custom((value) => typeof value === "function", "expected a function");
const size = z.int().min(1);

const layout = z.custom<TowerLayout>(
  (value) =>
    z.looseObject({ title: text, tower: z.looseObject({ sign: text, rest: z.instanceof(RegExp) }) }).safeParse(value)
      .success,
  "expected a TowerLayout (title, ...commonNames, tower: { prefix, parts, sign, beside, rest })",
);
const linearNames = { weight: text, bias: text };
const featureChoice = z.strictObject({
  pooling: z.enum(POOLINGS),
  normalized: z.boolean(),
} satisfies Record<keyof FeatureChoice, z.ZodType>);
const classifier = z.strictObject({
  architecture: text,
  features: featureChoice,
  ...linearNames,
  hidden: z.strictObject({ ...linearNames, activation: z.enum(["tanh", "relu"]) }).optional(),
  saved: z.strictObject({ modelType: text, prefix: z.string(), along: z.array(text).optional() }).optional(),
} satisfies Record<keyof ClassifierLayout, z.ZodType>);

const familyShape = {
  name: z.string().regex(/^[a-z0-9][a-z0-9_.-]*$/, "expected lower-case letters, digits, _, . and -"),
  title: text,
  kind: z.enum(KINDS),
  modelTypes: z.array(text).min(1, "expected at least one model_type"),
  layout,
  poolings: z.array(z.enum(POOLINGS)).min(1, "expected at least one pooling"),
  classifiers: z.array(classifier),
  unreadClassifiers: z.instanceof(Map).optional(),
  otherClassifiers: z.instanceof(Map).optional(),
  open: callable,
  saved: callable.optional(),
  python: callable.optional(),
  texts: z.looseObject({ prompt: text, logitScale: z.number(), open: callable }).optional(),
  fineTuning: z.strictObject({ learningRate: z.number().gt(0), loraLearningRate: z.number().gt(0) }).optional(),
  layerOrders: callable.optional(),
  tensors: callable,
} satisfies Record<keyof ModelFamily, z.ZodType>;

const tensorShape = {
  name: text,
  shape: z.array(size),
  part: z.enum(PARTS),
  block: z.int().min(0).optional(),
  stack: text.optional(),
  sharesInput: text.optional(),
  half: z.enum(BLOCK_HALVES).optional(),
  fusedAs: text.optional(),
  isTable: z.boolean().optional(),
} satisfies Record<keyof ModelTensor, z.ZodType>;

const tensors = z.array(z.strictObject(tensorShape)).min(1, "expected at least one tensor");

const partsShape = {
  blocks: size,
  shape: callable,
  before: callable,
  block: callable,
  behind: callable,
} satisfies Record<keyof ModelParts, z.ZodType>;

const modelShape = {
  featureSize: size,
  layout,
  tensors,
  projection: text.optional(),
  lengths: z.array(size).min(1, "expected at least one length").optional(),
  mask: text.optional(),
  inputs: callable,
  features: callable,
  parts: z.strictObject(partsShape).optional(),
  served: z.strictObject({ inputs: callable, features: callable }).optional(),
  valuesPerExample: callable,
  facts: z.array(z.unknown()),
  featureChoice: featureChoice.optional(),
} satisfies Record<keyof Model, z.ZodType>;

const encoderShape = {
  kind: z.enum(KINDS),
  preprocessing: z.looseObject({}).optional(),
  open: callable,
} satisfies Record<keyof Encoder, z.ZodType>;

const opened = z.strictObject({ model: z.strictObject(modelShape), encoder: z.looseObject(encoderShape) });

/** `found` as a family whose functions are watched. `where` is its module, for errors. Throws ConfigError naming everything that is missing or wrong. */
export function checkedFamily(found: unknown, where: string): ModelFamily {
  // Own fields alone are looked at, since they alone are copied.
  const own = typeof found === "object" && found !== null ? { ...found } : found;
  const family = requireShape<ModelFamily>(z.strictObject(familyShape), own, where, "a family of models");
  const at = `${where}: ${family.name}`;
  return {
    ...family,
    tensors: (config, path) =>
      requireShape(
        tensors,
        watched(`${at}.tensors`, () => family.tensors(config, path)),
        `${at}.tensors`,
        "tensors",
      ),
    open: async (files, features) => {
      const result = await watchedPromise(`${at}.open`, async () => family.open(files, features));
      const { model, encoder } = requireShape<typeof result>(opened, result, `${at}.open`, "a model and an encoder");
      requireInputs(model, `${at}.open: model`);
      return { model: watchedModel(model, `${at}: model`), encoder };
    },
  };
}

/** The value, if it has this form: the type is that of the schema, whose functions nothing can look into. */
function requireShape<T>(schema: z.ZodType, value: unknown, where: string, what: string): T {
  const result = schema.safeParse(value);
  // The boundary to code that no compiler has seen.
  if (result.success) return value as T;
  // Names that are not known say most: they are why others are missing.
  const issues = result.error.issues.toSorted((a, b) => Number(isName(b)) - Number(isName(a)));
  const problems = issues.map((issue) => problemText(issue, value));
  const more = problems.length > MOST_PROBLEMS ? `; and ${problems.length - MOST_PROBLEMS} more` : "";
  throw new ConfigError(
    `${where}: expected ${what}, found problems: ${problems.slice(0, MOST_PROBLEMS).join("; ")}${more}. ${ADVICE}`,
  );
}

const isName = ({ code }: z.core.$ZodIssue): boolean => code === "unrecognized_keys";

function problemText(issue: z.core.$ZodIssue, root: unknown): string {
  const place = issue.path.join(".");
  const at = place === "" ? "" : `${place}: `;
  const value = issue.path.reduce<unknown>(
    (outer, key) => (typeof outer === "object" && outer !== null ? Reflect.get(outer, key) : undefined),
    root,
  );
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys
        .map((key) => {
          const close = nearest(key, Object.keys(familyShape));
          return `${at}${key} is not known here${close === undefined ? "" : `; is ${close} meant?`}`;
        })
        .join("; ");
    case "invalid_type":
      return `${at}expected ${issue.expected}, found ${value === undefined ? "nothing" : typeof value}`;
    case "invalid_value":
      return `${at}expected one of ${issue.values.map(String).join(", ")}, found ${value === undefined ? "nothing" : JSON.stringify(value)}`;
    default:
      return `${at}${issue.message}${value === undefined ? ", found nothing" : ""}`;
  }
}

/** Examples of several lengths have a mask among their inputs. */
function requireInputs(model: Model, where: string): void {
  const inputs: unknown = watched(`${where}.inputs`, () => model.inputs(1));
  if (!(inputs instanceof Map) || inputs.size === 0)
    throw new ConfigError(`${where}.inputs: expected a Map of the inputs by name, found none. ${ADVICE}`);
  if (model.lengths === undefined || (model.mask !== undefined && inputs.has(model.mask))) return;
  throw new ConfigError(
    `${where}.mask: expected the name of an input, since the model has lengths, found ${model.mask === undefined ? "nothing" : `${model.mask}, which is none`}. ${ADVICE}`,
  );
}

function watchedModel(model: Model, at: string): Model {
  const { served, parts } = model;
  const watchedFeatures =
    (own: Pick<Model, "features">, name: string): Model["features"] =>
    (weights, inputs, watch) => {
      const features = watched(name, () => own.features(weights, inputs, watch));
      const shape: unknown = features?.shape;
      if (Array.isArray(shape) && shape.length === 2 && shape[1] === model.featureSize) return features;
      throw new ConfigError(
        `${name}: expected a tensor [examples, ${model.featureSize}] (featureSize), found ${Array.isArray(shape) ? `[${shape.join(", ")}]` : "none"}`,
      );
    };
  return {
    ...model,
    features: watchedFeatures(model, `${at}.features`),
    ...(parts === undefined ? {} : { parts: watchedParts(parts, `${at}.parts`) }),
    ...(served === undefined
      ? {}
      : { served: { ...served, features: watchedFeatures(served, `${at}.served.features`) } }),
  };
}

function watchedParts(parts: ModelParts, at: string): ModelParts {
  return {
    blocks: parts.blocks,
    shape: (...given) => watched(`${at}.shape`, () => parts.shape(...given)),
    before: (...given) => watched(`${at}.before`, () => parts.before(...given)),
    block: (...given) => watched(`${at}.block`, () => parts.block(...given)),
    behind: (...given) => watched(`${at}.behind`, () => parts.behind(...given)),
  };
}

function watched<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explained(what, error);
  }
}

async function watchedPromise<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explained(what, error);
  }
}

/** A mistake of the module, unless it has words for a person already. */
function explained(what: string, error: unknown): Error {
  if (error instanceof UserError) return error;
  return new ConfigError(
    `${what} failed: ${error instanceof Error ? error.message : String(error)} (--debug shows where)`,
    { cause: error },
  );
}
