/**
 * What a folder of sentence-transformers says of itself: pooling, normalisation and the longest text, of versions 1 to 6. Not its tokenizer.
 * Sources: sentence-transformers, models/Transformer.py, models/Pooling.py (version 5), sentence_transformer/modules/pooling.py (version 6).
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { readText, readTextIfThere } from "../../runtime/regular-file.js";
import { TEXT_POOLINGS, type TextFeatures, type TextPooling } from "./pooling.js";

const MODULES = "modules.json";
const PROMPTS = "config_sentence_transformers.json";
/** Named after the model's type. */
const TRANSFORMER_CONFIG = /^sentence_[\w-]+_config\.json$/;

const modulesSchema = z.array(z.object({ path: z.string(), type: z.string() })).min(1);
/** A name or several since version 6, a flag for each before. */
const poolingSchema = z.looseObject({ pooling_mode: z.union([z.string(), z.array(z.string())]).optional() });
const OLD_MODES: ReadonlyMap<string, string> = new Map([
  ["pooling_mode_cls_token", "cls"],
  ["pooling_mode_max_tokens", "max"],
  ["pooling_mode_mean_tokens", "mean"],
  ["pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"],
  ["pooling_mode_weightedmean_tokens", "weightedmean"],
  ["pooling_mode_lasttoken", "lasttoken"],
]);
const lengthSchema = z.object({ max_seq_length: z.int().min(2).nullish() });
const transformerSchema = z.object({
  do_lower_case: z
    .literal(false, "expected false, found true: texts are given to the tokenizer as they are; let the tokenizer do it")
    .nullish(),
});
const promptsSchema = z.object({
  default_prompt_name: z
    .null("expected none, found one: texts are encoded without a prompt in front; put it into the texts and set null")
    .optional(),
});

/** Undefined where the folder is no sentence encoder's. Throws CheckpointError for modules that are not computed here. */
export async function readSentenceFeatures(folder: string): Promise<TextFeatures | undefined> {
  const file = join(folder, MODULES);
  const text = await readTextIfThere(file, "the modules of a sentence encoder", MAX_CONFIG_BYTES);
  if (text === undefined) return undefined;
  const modules = valid(modulesSchema, parseConfig(text, file), file);
  const kinds = modules.map(({ type }) => type.split(".").at(-1) ?? "");
  const [transformer, pooling, normalize, ...others] = modules;
  const isKnown = kinds[0] === "Transformer" && kinds[1] === "Pooling" && (kinds[2] ?? "Normalize") === "Normalize";
  if (!isKnown || transformer === undefined || pooling === undefined || others.length > 0)
    throw new CheckpointError(
      `${file}: expected the modules Transformer, Pooling and perhaps Normalize, found ${kinds.map(quote).join(", ")}; others are not computed here. Take the encoder without them, as a plain model.`,
    );
  if (transformer.path !== "")
    throw new CheckpointError(
      `${file}: expected the Transformer in the folder itself (path ""), found ${quote(transformer.path)}. Save the model anew with sentence-transformers.`,
    );
  const poolingFile = join(folder, inFolder(pooling.path, file), "config.json");
  const own = await readTransformer(folder);
  if (own !== undefined) valid(transformerSchema, own.json, own.file);
  await checkPrompts(folder);
  return { pooling: await readPooling(poolingFile), normalized: normalize !== undefined };
}

/**
 * Tokens where the texts of a sentence encoder are cut, its ends included, whatever of it is read; undefined where no
 * file says it. Throws CheckpointError for a file that says something else.
 */
export async function sentenceLimit(folder: string): Promise<number | undefined> {
  const own = await readTransformer(folder);
  return own === undefined ? undefined : (valid(lengthSchema, own.json, own.file).max_seq_length ?? undefined);
}

/** A folder directly in the model's: the path is from a file that anybody may have written. */
function inFolder(path: string, file: string): string {
  if (/^[\w-]+$/.test(path)) return path;
  throw new CheckpointError(`${file}: expected the Pooling's path to be a folder beside it, found ${quote(path)}`);
}

async function readPooling(file: string): Promise<TextPooling> {
  const text = await readText(file, "the pooling of a sentence encoder", MAX_CONFIG_BYTES);
  const config = valid(poolingSchema, parseConfig(text, file), file);
  const flagged = [...OLD_MODES].flatMap(([key, mode]) => (config[key] === true ? [mode] : []));
  const modes = config.pooling_mode === undefined ? flagged : [config.pooling_mode].flat();
  // Without any the library takes the mean.
  const [mode = "mean", ...more] = modes;
  const found = TEXT_POOLINGS.find((name) => name !== "pooler" && name === mode);
  if (found !== undefined && more.length === 0) return found;
  throw new CheckpointError(
    `${file}: expected the pooling mode cls or mean, found ${modes.map(quote).join(" with ")}; others are not computed here`,
  );
}

async function readTransformer(folder: string): Promise<{ file: string; json: unknown } | undefined> {
  const name = (await readdir(folder)).toSorted().find((entry) => TRANSFORMER_CONFIG.test(entry));
  if (name === undefined) return undefined;
  const file = join(folder, name);
  const text = await readText(file, "the settings of a sentence encoder", MAX_CONFIG_BYTES);
  return { file, json: parseConfig(text, file) };
}

async function checkPrompts(folder: string): Promise<void> {
  const file = join(folder, PROMPTS);
  const text = await readTextIfThere(file, "the settings of a sentence encoder", MAX_CONFIG_BYTES);
  if (text !== undefined) valid(promptsSchema, parseConfig(text, file), file);
}

function valid<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new CheckpointError(`${file}: ${problems.join("; ")}`);
}
