/**
 * The config.json of a model that is saved: that of the model it comes from, byte for byte but for what would be wrong about the new tensors.
 * Source: transformers, configuration_utils.py (`dtype`, called `torch_dtype` before 4.56).
 */
import { lstat, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readText } from "../runtime/regular-file.js";
import { MAX_CONFIG_BYTES, MODEL_NAME, PYTORCH_NAME } from "./checkpoint.js";
import { type ConfigChange, editConfig, parseConfig } from "./config-text.js";
import { requireInside } from "./inside-folder.js";

/** What transformers calls the types of tensors. */
const TORCH_NAMES: ReadonlyMap<string, string> = new Map([
  ["F64", "float64"],
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
]);
export const DTYPE_KEYS = ["dtype", "torch_dtype"];
/** A tower's or decoder's own settings; that of quantisation is about other types. */
const PART = /(?<!^quantization)_config$/;

/** The folder of a model at `path`: a folder, or a file of a standard name; beside a file of any other name lie files of anything. */
export async function modelFolder(path: string): Promise<string | undefined> {
  if ((await stat(path)).isDirectory()) return path;
  return [MODEL_NAME, PYTORCH_NAME].includes(basename(path)) ? dirname(path) : undefined;
}

/** The text of a small file of a model, to be copied; undefined where there is none. Throws CheckpointError for a link out of the folder. */
export async function readModelText(directory: string, name: string): Promise<string | undefined> {
  const isMissing = await lstat(join(directory, name)).then(
    () => false,
    () => true,
  );
  if (isMissing) return undefined;
  return readText(await requireInside(directory, name, `a ${name}`), `a ${name}`, MAX_CONFIG_BYTES);
}

/**
 * Says which type the weights have, under every name and in every part where the config says so already. `isAdded`: also where it does not say so.
 * A model of several types, or of one that transformers has no name for, keeps what it says.
 */
export function statingDtype(
  text: string,
  dtypes: Iterable<string>,
  { isAdded }: { readonly isAdded: boolean },
  where: string,
): string {
  const [dtype, ...others] = new Set([...dtypes].flatMap((stored) => TORCH_NAMES.get(stored) ?? []));
  if (dtype === undefined || others.length > 0) return text;
  const config = parseConfig(text, where);
  const own = DTYPE_KEYS.filter((key) => (isAdded ? has(config, key) : typeof valueAt(config, key) === "string"));
  const keys = own.length === 0 && isAdded ? ["torch_dtype"] : own;
  const top = keys.map((key): ConfigChange => ({ path: [key], value: dtype }));
  return editConfig(text, [...top, ...partChanges(config, [], dtype)], where);
}

function partChanges(config: unknown, path: readonly string[], dtype: string): ConfigChange[] {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return [];
  const own = path.length === 0 ? [] : DTYPE_KEYS.filter((key) => typeof valueAt(config, key) === "string");
  return [
    ...own.map((key): ConfigChange => ({ path: [...path, key], value: dtype })),
    ...Object.entries(config).flatMap(([key, value]) =>
      PART.test(key) ? partChanges(value, [...path, key], dtype) : [],
    ),
  ];
}

/** The classes of transformers that a parsed config names; none where it names none. */
export function architecturesOf(config: unknown): readonly string[] {
  const list = valueAt(config, "architectures");
  return Array.isArray(list) ? list.filter((name) => typeof name === "string") : [];
}

/** What a parsed config says under a key. */
export function valueAt(config: unknown, key: string): unknown {
  return has(config, key) ? config[key] : undefined;
}

function has<Key extends string>(config: unknown, key: Key): config is Record<Key, unknown> {
  return typeof config === "object" && config !== null && Object.hasOwn(config, key);
}
