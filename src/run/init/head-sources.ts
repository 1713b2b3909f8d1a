/** The classifier of each expert as `adamerge init` finds it: a file with the order of its classes, or a head to be made. C classes. */
import { type Checkpoint, openCheckpoint } from "../../checkpoint/checkpoint.js";
import type { HeadRecipe } from "../../data/head-recipes.js";
import { kindOf } from "../../data/kinds.js";
import { CheckpointError, DataError } from "../../errors.js";
import { type FoundClassifier, labelsOf } from "../../model/classifiers.js";
import type { FeatureChoice, ModelFamily } from "../../model/family.js";
import { openHeadFile } from "../../model/head-file.js";
import type { ExpertFiles } from "../../model/open-models.js";
import { readText } from "../../runtime/regular-file.js";
import type { ExampleSource } from "./example-sources.js";

/** The classifier of one expert as `init` found it. */
export interface HeadSource {
  /** Absolute path of a file, or how the head is made. */
  readonly head: string | HeadRecipe;
  /** In the order of the head's rows. */
  readonly classes: readonly string[];
  /** What logit scale the suite has to give; undefined where the head carries its own. */
  readonly logitScale: number | undefined;
  /** What features it is for; undefined where it takes any. */
  readonly features?: FeatureChoice;
  readonly assumed: readonly string[];
}

/** Rows of length 1 up to rounding in float16. */
const UNIT_TOLERANCE = 0.01;

export interface HeadRequest {
  readonly examples: ExampleSource;
  /** The head's file; undefined: a head is made. */
  readonly file: string | undefined;
  /** Of the classes' names; else of labelled examples, as prototypes. */
  readonly isZeroShot: boolean;
  /** A text file with a class a line, in the order of the head's rows. */
  readonly classesFile: string | undefined;
  /** The expert's own files, where they are here: their config.json may name classes, and there may be a classifier. */
  readonly expert: ExpertFiles | undefined;
  /** Of the base. */
  readonly family: Pick<ModelFamily, "title" | "texts">;
}

/** Throws CheckpointError for a file that is no head, DataError when its classes and those of the examples are not the same. */
export async function lookAtHead(request: HeadRequest): Promise<HeadSource> {
  const { examples, file, isZeroShot, classesFile, expert, family } = request;
  const expertConfig = expert?.config;
  const { name, kind } = examples;
  const { many } = kindOf(kind);
  // Numbers that nothing names say how many classes there are at least, not what they are called.
  const found = examples.areNumbers ? undefined : examples.classes;
  const listed = classesFile === undefined ? undefined : await readClasses(classesFile, name);
  if (isZeroShot) return zeroShotHead(request, listed, found);
  if (file === undefined && expert?.classifier !== undefined)
    return classifierHead(name, expert.classifier, listed, found, examples);
  if (file === undefined) {
    const split = examples.headSplit ?? "adapt";
    const classes = listed ?? examples.classes ?? [];
    requireSame(examples, classes, found, "the list of classes");
    const assumed =
      examples.areNumbers && listed === undefined
        ? [`${name}: its labels are numbers that nothing names; --classes ${name}=FILE gives them names`]
        : [];
    return { head: { prototypes: { split, model: "expert" } }, classes, logitScale: undefined, assumed };
  }
  const checkpoint = await openCheckpoint(file);
  const weight = checkpoint.tensors.get("weight");
  if (weight === undefined || weight.shape.length !== 2)
    throw new CheckpointError(
      `--head ${name}: ${file}: expected a tensor weight [classes, features], found ${[...checkpoint.tensors.keys()].slice(0, 5).join(", ") || "no tensors"}`,
    );
  const [rows = 0] = weight.shape;
  if (found !== undefined && listed === undefined && found.length !== rows)
    throw new DataError(
      `${name}: expected ${many} of the head's ${rows} classes, found ${found.length} (${found.slice(0, 5).join(", ")}${found.length > 5 ? ", ..." : ""}); add ${many} of what is missing, or give the head that belongs to these ${many}`,
    );
  // Heads that we saved name their classes and features.
  const { classes: named, features } = await openHeadFile(file);
  const order = classOrder(name, rows, listed ?? named, found, expertConfig);
  requireSame(examples, order.classes, found, classesFile ?? (named === undefined ? "the expert's config.json" : file));
  if (order.classes.length !== rows)
    throw new DataError(
      `${name}: expected ${rows} classes (rows of ${file}), found ${order.classes.length} in ${classesFile ?? `the ${many}`}`,
    );
  const scale = await scaleOf(name, checkpoint, family);
  return {
    head: file,
    classes: order.classes,
    logitScale: scale.logitScale,
    ...(features === undefined ? {} : { features }),
    assumed: [...order.assumed, ...scale.assumed],
  };
}

/** The classifier that an expert was saved with; its classes are in the order of its rows. */
function classifierHead(
  name: string,
  { layout, classes: rows, names }: FoundClassifier,
  listed: readonly string[] | undefined,
  found: readonly string[] | undefined,
  examples: ExampleSource,
): HeadSource {
  const { many } = kindOf(examples.kind);
  const order = rowOrder(name, rows, listed ?? names, found);
  if (order.classes.length !== rows)
    throw new DataError(
      `${name}: expected ${rows} classes (rows of the expert's ${layout.weight}), found ${order.classes.length} in ${listed === undefined ? `the ${many}` : "the list of classes"}; give --classes ${name}=FILE (a name a line, in the order of the rows)`,
    );
  requireSame(
    examples,
    order.classes,
    found,
    listed === undefined ? "the expert's config.json" : "the list of classes",
  );
  return {
    head: { classifier: "expert" },
    classes: order.classes,
    logitScale: undefined,
    features: layout.features,
    assumed: [
      `${name}: the head is the classifier that the expert was saved with (${layout.architecture})`,
      ...order.assumed,
    ],
  };
}

type ClassOrder = Pick<HeadSource, "classes" | "assumed">;

/** Numbers are in the order of their values. `named`: what the rows are called, where something says so. */
function rowOrder(
  name: string,
  rows: number,
  named: readonly string[] | undefined,
  found: readonly string[] | undefined,
): ClassOrder {
  const numbers = Array.from({ length: rows }, (_, row) => String(row));
  const areNumbers = found?.length === rows && numbers.every((number) => found.includes(number));
  if (areNumbers && named !== undefined && !numbers.every((number) => named.includes(number))) {
    const meant = `labels are the numbers of the head's rows: 0 is ${named[0] ?? ""}`;
    return { classes: numbers, assumed: [`${name}: ${meant}`] };
  }
  if (areNumbers) return { classes: named ?? numbers, assumed: [] };
  if (named !== undefined) return { classes: named, assumed: [] };
  return assumedOrder(name, rows, found);
}

/** Where nothing says what the rows are. */
function assumedOrder(name: string, rows: number, found: readonly string[] | undefined): ClassOrder {
  if (found === undefined) {
    const classes = Array.from({ length: rows }, (_, row) => `class ${row}`);
    const text = `nothing names the classes; give --classes ${name}=FILE (a name a line) to have them in reports`;
    return { classes, assumed: [`${name}: ${text}`] };
  }
  const order = `the head's rows are in the order of the class names (${found.slice(0, 3).join(", ")}, ...)`;
  return { classes: found, assumed: [`${name}: ${order}; if not, give --classes ${name}=FILE`] };
}

/** Classes as they are called, underscores as blanks: what a text tower makes of names is better the more they are language. */
function zeroShotHead(
  { examples, family: { texts, title }, expert }: HeadRequest,
  listed: readonly string[] | undefined,
  found: readonly string[] | undefined,
): HeadSource {
  const { name, kind } = examples;
  if (texts === undefined)
    throw new DataError(
      `--head ${name}=zero-shot: expected a base that embeds texts, found a ${title}; give --head ${name}=FILE, or labels to make a head of`,
    );
  const classes = listed ?? found ?? labelsOf(expert?.config);
  if (classes === undefined)
    throw new DataError(
      `--head ${name}=zero-shot: expected names of the classes, found none beside ${kindOf(kind).many} without labels; give --classes ${name}=FILE (a name a line)`,
    );
  requireSame(examples, classes, found, "the list of classes");
  const names = classes.map((one) => one.replaceAll("_", " "));
  return {
    head: { zero_shot: { templates: [texts.prompt], names } },
    classes,
    logitScale: undefined,
    assumed: [`${name}: the prompt is "${texts.prompt}"; others under templates in suite.yaml, and the names in it`],
  };
}

function classOrder(
  name: string,
  rows: number,
  listed: readonly string[] | undefined,
  found: readonly string[] | undefined,
  expertConfig: unknown,
): ClassOrder {
  if (listed !== undefined) return { classes: listed, assumed: [] };
  const inConfig = labelsOf(expertConfig);
  const isSame =
    inConfig?.length === rows &&
    new Set(inConfig).size === rows &&
    (found?.every((one) => inConfig.includes(one)) ?? true);
  if (isSame)
    return { classes: inConfig, assumed: [`${name}: the head's rows are in the order of the expert's config.json`] };
  return assumedOrder(name, rows, found);
}

/** A name a line; ImageNet-21k's have 500 KB. */
const MAX_CLASSES_BYTES = 50_000_000;

async function readClasses(file: string, name: string): Promise<readonly string[]> {
  const text = await readText(file, "a list of classes", MAX_CLASSES_BYTES, DataError).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(`--classes ${name}: expected a text file with a class a line (${reason})`, { cause });
  });
  const classes = text.split(/\r?\n/).flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  const twice = classes.find((one, index) => classes.indexOf(one) !== index);
  if (twice !== undefined) throw new DataError(`${file}: expected every class once, found ${twice} twice`);
  return classes;
}

function requireSame(
  { name, kind }: ExampleSource,
  classes: readonly string[],
  found: readonly string[] | undefined,
  what: string,
): void {
  if (found === undefined) return;
  const absent = classes.filter((one) => !found.includes(one));
  const unknown = found.filter((one) => !classes.includes(one));
  if (absent.length + unknown.length === 0) return;
  const { many } = kindOf(kind);
  const parts = [
    ...(absent.length > 0 ? [`no ${many} of ${absent.slice(0, 5).join(", ")}`] : []),
    ...(unknown.length > 0 ? [`${many} of ${unknown.slice(0, 5).join(", ")} that are not in it`] : []),
  ];
  throw new DataError(
    `${name}: expected ${many} of the ${classes.length} classes in ${what}, found ${parts.join(" and ")}; name them alike`,
  );
}

async function scaleOf(
  name: string,
  head: Checkpoint,
  { texts, title }: HeadRequest["family"],
): Promise<{ readonly logitScale: number | undefined; readonly assumed: readonly string[] }> {
  if (head.tensors.has("logit_scale")) return { logitScale: undefined, assumed: [] };
  const [rows = 0, size = 0] = head.tensors.get("weight")?.shape ?? [];
  const weight = await head.readFloat32("weight");
  const lengths = Array.from({ length: rows }, (_, row) =>
    Math.hypot(...weight.subarray(row * size, (row + 1) * size)),
  );
  const areUnit = lengths.every((length) => Math.abs(length - 1) < UNIT_TOLERANCE);
  const logitScale = areUnit ? (texts?.logitScale ?? 1) : 1;
  const why = areUnit ? `its rows have length 1 (usual for a ${title})` : "its rows carry the scale";
  return { logitScale, assumed: [`${name}: the head has no logit_scale; ${logitScale}, since ${why}`] };
}
