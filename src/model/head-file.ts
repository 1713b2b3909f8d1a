/**
 * A head as a file: `heads/<task>.safetensors` in the folder of a merged model, or what suite.yaml names as `head:`.
 * One file is one task. Of C classes and E features:
 *
 *   weight         [C, E], or [C, H] behind a hidden layer
 *   bias           [C]                             zeros if absent
 *   logit_scale    [] or [1]                       the suite's if absent
 *   hidden.weight  [H, E], hidden.bias [H]         a dense layer between features and classes, if there is one
 *   adapter.down   [I, E], adapter.up [E, I]       of version 2: what is taken off the features first
 *
 *   logits = logit_scale * (g weightT) + bias, g = f, or activation(f hidden.weightT + hidden.bias)
 *   f      = features, or features - relu(features adapter.downT) adapter.upT
 *
 * `__metadata__` has texts, as the format wants: `format` "adamerge-head", `version` "1", or "2" with an adapter, which
 * readers of version 1 would pass over, `classes` (JSON: the C names
 * in the order of the rows), `features` (JSON: {"pooling": "mean", "normalized": true}, what of the encoder's output is
 * read and whether it is brought to length 1), `max_length` (tokens that texts are cut at, where that is less than what
 * the model takes), `hidden_activation` ("tanh" or "relu"). A file without them, or a state dict of PyTorch, is read
 * too: what it does not say the suite or the model's folder says. Other tensors and keys are passed over; whatever
 * changes the logits is a new version.
 */
import { z } from "zod";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { readSafetensorsHeader } from "../checkpoint/safetensors.js";
import { type WritableTensor, writeSafetensors } from "../checkpoint/safetensors-writer.js";
import { requireFinite, tensorPlace } from "../checkpoint/task-vectors.js";
import { CheckpointError } from "../errors.js";
import { parseBoundedJson } from "../runtime/bounded-json.js";
import { quote } from "../runtime/printable.js";
import { type FeatureChoice, POOLINGS } from "./family.js";
import type { FeatureAdapter, Head, HiddenLayer } from "./heads.js";

const FORMAT = "adamerge-head";
const VERSION = "1";
/** Of heads with an adapter. */
const ADAPTER_VERSION = "2";
const VERSIONS: readonly string[] = [VERSION, ADAPTER_VERSION];
/**
 * Values of the largest tensor: 20,000 classes of 8,192 features. A model's own weights, named by mistake, have more.
 */
const MAX_VALUES = 2 ** 28;
const ADVICE = "Save the merged model again, or give another head";

/** What a head's file says besides its numbers. */
export interface HeadNotes {
  /** In the order of the rows. */
  readonly classes?: readonly string[] | undefined;
  readonly features?: FeatureChoice | undefined;
  readonly maxLength?: number | undefined;
}

/** A file whose header was looked at. */
export interface HeadFile extends HeadNotes {
  readonly path: string;
  /** C */
  readonly rows: number;
  /** E */
  readonly featureSize: number;
  /**
   * Reads the numbers; `logitScale` is for a file without one. Throws CheckpointError for numbers that are not finite.
   */
  read(task: string, logitScale?: number): Promise<Head>;
}

/** Opens the head at `path`. Throws CheckpointError for a file that is none. */
export async function openHeadFile(path: string): Promise<HeadFile> {
  const file = await openCheckpoint(path);
  const { tensors } = file;
  const known = [...tensors.keys()].slice(0, 5).map(quote).join(", ") || "none";
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const shape = tensors.get(name)?.shape;
    const size = shape?.reduce((product, dim) => product * dim, 1) ?? 0;
    if (shape?.length === rank && size > 0 && size <= MAX_VALUES) return shape;
    const found = shape === undefined ? `the tensors ${known}` : `shape [${shape.join(", ")}]`;
    throw new CheckpointError(
      `${path}: expected a tensor ${name} ${WANTED.get(name) ?? ""}, found ${found}. ${ADVICE}.`,
    );
  };
  const [rows = 0, width = 0] = shapeOf("weight", 2);
  const isStored = file.format === "safetensors" && path.endsWith(".safetensors");
  const notes = isStored ? parseNotes((await readSafetensorsHeader(path)).metadata, path, rows) : {};
  const hidden = tensors.has("hidden.weight") ? shapeOf("hidden.weight", 2) : undefined;
  const [hiddenSize = width, featureSize = width] = hidden ?? [];
  if (hiddenSize !== width)
    throw new CheckpointError(
      `${path}: expected a weight [${rows}, ${hiddenSize}] behind the hidden layer, found [${rows}, ${width}]. ${ADVICE}.`,
    );
  const inner = notes.hasAdapter === true ? shapeOf("adapter.down", 2) : undefined;
  const read = async (name: string, length: number): Promise<Float32Array> => {
    const size = tensors.get(name)?.shape.reduce((product, dim) => product * dim, 1);
    if (size !== length)
      throw new CheckpointError(`${path}: ${name}: expected ${length} values, found ${size ?? "none"}. ${ADVICE}.`);
    const values = await file.readFloat32(name);
    requireFinite(values, tensorPlace(path, name));
    return values;
  };
  return {
    path,
    rows,
    featureSize,
    ...notes,
    read: async (task, suiteScale) => {
      const logitScale = tensors.has("logit_scale") ? (await read("logit_scale", 1))[0] : suiteScale;
      if (logitScale === undefined)
        throw new CheckpointError(`${path}: expected a tensor logit_scale, or logit_scale in the suite's file`);
      const layer = hidden && {
        size: width,
        weight: await read("hidden.weight", width * featureSize),
        bias: await read("hidden.bias", width),
        activation: activationOf(notes.activation, path),
      };
      const adapter = inner && (await readAdapter(inner[0] ?? 0, featureSize, read));
      const bias = tensors.has("bias") ? await read("bias", rows) : new Float32Array(rows);
      const weight = await read("weight", rows * width);
      return {
        task,
        classes: rows,
        featureSize,
        logitScale,
        weight,
        bias,
        ...(adapter && { adapter }),
        ...(layer && { hidden: layer }),
      };
    },
  };
}

async function readAdapter(
  rank: number,
  featureSize: number,
  read: (name: string, length: number) => Promise<Float32Array>,
): Promise<FeatureAdapter> {
  const size = rank * featureSize;
  return { rank, down: await read("adapter.down", size), up: await read("adapter.up", size) };
}

const WANTED: ReadonlyMap<string, string> = new Map([
  ["weight", "[classes, features]"],
  ["hidden.weight", "[width, features]"],
  ["adapter.down", "[rank, features]"],
]);

function activationOf(name: string | undefined, path: string): HiddenLayer["activation"] {
  if (name === "tanh" || name === "relu") return name;
  const found = name === undefined ? "none" : quote(name);
  throw new CheckpointError(
    `${path}: expected the activation of its hidden layer (hidden_activation in __metadata__: tanh or relu), found ${found}. ${ADVICE}.`,
  );
}

/**
 * Writes a head; the file appears whole or not at all. Throws CheckpointError, or UserError for a disk that refuses.
 */
export async function writeHeadFile(path: string, head: Head, notes: HeadNotes): Promise<void> {
  const { classes, featureSize, hidden, adapter, weight, bias, logitScale } = head;
  const tensor = (name: string, data: Float32Array, ...shape: number[]): WritableTensor => ({
    name,
    dtype: "F32",
    shape,
    data,
  });
  const tensors = [
    tensor("weight", weight, classes, hidden?.size ?? featureSize),
    tensor("bias", bias, classes),
    tensor("logit_scale", Float32Array.of(logitScale)),
    ...(hidden === undefined ? [] : [tensor("hidden.weight", hidden.weight, hidden.size, featureSize)]),
    ...(hidden === undefined ? [] : [tensor("hidden.bias", hidden.bias, hidden.size)]),
    ...(adapter === undefined ? [] : [tensor("adapter.down", adapter.down, adapter.rank, featureSize)]),
    ...(adapter === undefined ? [] : [tensor("adapter.up", adapter.up, featureSize, adapter.rank)]),
  ];
  const metadata = new Map([
    ["format", FORMAT],
    ["version", adapter === undefined ? VERSION : ADAPTER_VERSION],
  ]);
  if (notes.classes !== undefined) metadata.set("classes", JSON.stringify(notes.classes));
  if (notes.features !== undefined) {
    const { pooling, normalized } = notes.features;
    metadata.set("features", JSON.stringify({ pooling, normalized }));
  }
  if (notes.maxLength !== undefined) metadata.set("max_length", String(notes.maxLength));
  if (hidden !== undefined) metadata.set("hidden_activation", hidden.activation);
  await writeSafetensors(path, tensors, { metadata });
}

const classesSchema = z.array(z.string().min(1));
const featuresSchema = z.strictObject({ pooling: z.enum(POOLINGS), normalized: z.boolean() });
const lengthSchema = z.int().min(1);

/** What `__metadata__` says; nothing for files of other programs. */
function parseNotes(
  metadata: ReadonlyMap<string, string>,
  path: string,
  rows: number,
): HeadNotes & { readonly activation?: string | undefined; readonly hasAdapter?: boolean } {
  if (metadata.get("format") !== FORMAT) return {};
  const version = metadata.get("version");
  if (version === undefined || !VERSIONS.includes(version))
    throw new CheckpointError(
      `${path}: expected a head of version ${VERSIONS.join(" or ")}, found ${version === undefined ? "none" : quote(version)}. Use the adamerge that wrote it, or a newer one.`,
    );
  const parsed = <T>(key: string, schema: z.ZodType<T>, expected: string): T | undefined => {
    const text = metadata.get(key);
    if (text === undefined) return undefined;
    const result = schema.safeParse(jsonOf(text));
    if (result.success) return result.data;
    throw new CheckpointError(
      `${path}: ${key} in __metadata__: expected ${expected}, found ${quote(text)}. ${ADVICE}.`,
    );
  };
  const classes = parsed("classes", classesSchema, "a JSON list of names");
  const twice = classes?.find((name, index) => classes.indexOf(name) !== index);
  if (classes !== undefined && (classes.length !== rows || twice !== undefined))
    throw new CheckpointError(
      `${path}: classes in __metadata__: expected ${rows} names, one for each row of weight, found ${twice === undefined ? classes.length : `${quote(twice)} twice`}. ${ADVICE}.`,
    );
  return {
    classes,
    features: parsed("features", featuresSchema, 'JSON such as {"pooling": "mean", "normalized": true}'),
    maxLength: parsed("max_length", lengthSchema, "a whole number from 1"),
    activation: metadata.get("hidden_activation"),
    hasAdapter: version === ADAPTER_VERSION,
  };
}

/** Undefined for what is no JSON, which no schema takes. */
function jsonOf(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}
