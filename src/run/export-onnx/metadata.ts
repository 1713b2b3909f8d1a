/**
 * What an exported model says of itself, as texts by key in the file's metadata_props: what a program must do to
 * examples before, and what the numbers that come out mean. docs/onnx.md lists the keys.
 */
import { z } from "zod";
import { readModelText, valueAt } from "../../checkpoint/saved-config.js";
import type { Preprocessing } from "../../data/image/preprocessing.js";
import { readmeHead } from "../../data/readers/readme-configs.js";
import type { SavedEncoder } from "../predict/saved-encoder.js";
import type { StoredType } from "./served-program.js";

/** Raised by whatever makes programs that read an older version read this one wrongly. */
const VERSION = "1";

export interface NotedHead {
  readonly task: string;
  /** In the order of the logits; undefined where nothing names them. */
  readonly classes: readonly string[] | undefined;
  readonly logitScale: number;
}

/** Of the head of a model card, as the hub has it. */
const cardSchema = z.object({ base_model: z.union([z.string().transform((name) => [name]), z.array(z.string())]) });

/** Texts by key, in the order in which they are written. */
export async function exportNotes(
  { folder, family, config, model, encoder, maxLength }: SavedEncoder,
  head: NotedHead | undefined,
  dtype: StoredType,
): Promise<ReadonlyMap<string, string>> {
  const notes = new Map([
    ["format", "adamerge-onnx"],
    ["version", VERSION],
    ["family", family.name],
    ["kind", family.kind],
    ["weights", dtype],
  ]);
  const type = valueAt(config, "model_type");
  if (typeof type === "string") notes.set("model_type", type);
  const bases = await baseModels(folder);
  if (bases !== undefined) notes.set("base_model", JSON.stringify(bases));
  if (model.featureChoice !== undefined) {
    const { pooling, normalized } = model.featureChoice;
    notes.set("features", JSON.stringify({ pooling, normalized }));
  }
  if (encoder.preprocessing !== undefined) notes.set("preprocessing", JSON.stringify(shown(encoder.preprocessing)));
  const longest = model.lengths?.at(-1);
  if (longest !== undefined) notes.set("max_length", String(Math.min(longest, maxLength ?? longest)));
  if (head === undefined) return notes;
  notes.set("task", head.task);
  if (head.classes !== undefined) notes.set("classes", JSON.stringify(head.classes));
  notes.set("logit_scale", String(head.logitScale));
  return notes;
}

/** What the model's card says that it was made of; undefined where there is no card that says it. */
async function baseModels(folder: string): Promise<readonly string[] | undefined> {
  const card = await readModelText(folder, "README.md");
  return card === undefined ? undefined : cardSchema.safeParse(readmeHead(card)).data?.base_model;
}

/** With the names of preprocessor_config.json where there are some. */
function shown({ resize, crop, filter, height, width, rescaleFactor, mean, std }: Preprocessing) {
  const size = resize?.kind === "shortest-edge" ? { shortest_edge: resize.edge } : sizeOf(resize);
  return {
    ...{ size: size ?? null, crop_size: sizeOf(crop) ?? null, resample: filter, height, width },
    ...{ rescale_factor: rescaleFactor, image_mean: mean, image_std: std },
  };
}

function sizeOf(size: { readonly height: number; readonly width: number } | undefined) {
  return size === undefined ? undefined : { height: size.height, width: size.width };
}
