/**
 * The labels of a parquet split: class numbers (integers of any width, booleans, floats that are whole) or names of classes (texts, plain or
 * dictionary encoded, or bytes that are text). Names are put in the order of the `names` in the file's metadata or in the head of README.md,
 * else in the order of their names, as a CSV manifest's are. Rows without a label are null, -1 (as the hub marks secret test labels),
 * NaN (as pandas does) or an empty text: all of them, or none.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { decodeUtf8 } from "../../runtime/regular-file.js";
import { readColumn, type Shard } from "./parquet-shard.js";
import { readmeHead } from "./readme-configs.js";

const MAX_LABEL = 2 ** 31 - 1;

export interface LabelQuestion {
  readonly column: string;
  /** Rows of all shards. */
  readonly size: number;
  /** Of the classes, in their order, where the file's metadata has them. */
  readonly names: readonly string[] | undefined;
  /** README.md beside the files; undefined if there is none. */
  readonly readme: () => Promise<string | undefined>;
  /** Which config the README's names are to be of. */
  readonly config: string | undefined;
  readonly locate: (index: number) => string;
  /** Whether numbers are to have names, from README.md where the metadata has none. */
  readonly namesWanted: boolean;
}

export interface ReadLabels {
  readonly labels: Int32Array;
  readonly classes?: readonly string[];
}

/** All labels, or undefined when every one is hidden. Throws DataError for a row that has none while others have, and for one that is none. */
export async function readLabels(shards: readonly Shard[], question: LabelQuestion): Promise<ReadLabels | undefined> {
  const { column, size, names, locate } = question;
  const values: (number | string | undefined)[] = [];
  for (const shard of shards)
    for (const value of await readColumn(shard, column, 0, Number(shard.metadata.num_rows)))
      values.push(labelOf(value, `${locate(values.length)}, column ${column}`));
  const hidden = values.indexOf(undefined);
  if (hidden >= 0 && values.every((value) => value === undefined)) return undefined;
  if (hidden >= 0)
    throw new DataError(
      `${locate(hidden)}, column ${column}: expected a class number >= 0, found no label although other rows have one; ` +
        "remove the row, or all labels to use the split unlabelled",
    );
  const text = values.findIndex((value) => typeof value === "string");
  if (text < 0) {
    const labels = Int32Array.from({ length: size }, (_, index) => Number(values[index]));
    const classes = names ?? (await numberNames(labels, question));
    return classes === undefined ? { labels } : { labels, classes };
  }
  const number = values.findIndex((value) => typeof value === "number");
  if (number >= 0)
    throw new DataError(
      `${locate(number)}, column ${column}: expected the name of a class, as row ${text} has, found ${values[number]}`,
    );
  return namedLabels(values.map(String), await classOrder(values.map(String), question), question);
}

/** A class number, a class name, or undefined for none. */
function labelOf(value: unknown, place: string): number | string | undefined {
  if (value === null || value === undefined || value === "" || Number.isNaN(value)) return undefined;
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) {
    const text = decodeUtf8(value);
    if (text !== undefined) return text === "" ? undefined : text;
  }
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    const label = Number(value);
    if (label === -1) return undefined;
    if (Number.isInteger(label) && label >= 0 && label <= MAX_LABEL) return label;
    throw new DataError(`${place}: expected a class number >= 0, found ${String(value)}`);
  }
  throw new DataError(
    `${place}: expected a class number or the name of a class, found ${value instanceof Uint8Array ? "bytes that are no text" : "a value of another type"}`,
  );
}

async function numberNames(labels: Int32Array, question: LabelQuestion): Promise<readonly string[] | undefined> {
  if (!question.namesWanted) return undefined;
  const names = readmeNames((await question.readme()) ?? "", question);
  return names !== undefined && labels.every((label) => label < names.length) ? names : undefined;
}

async function classOrder(values: readonly string[], question: LabelQuestion): Promise<readonly string[]> {
  const found = new Set(values);
  const isOfAll = (names: readonly string[] | undefined): names is readonly string[] =>
    names !== undefined && [...found].every((name) => names.includes(name));
  if (isOfAll(question.names)) return question.names;
  const inReadme = readmeNames((await question.readme()) ?? "", question);
  return isOfAll(inReadme) ? inReadme : [...found].toSorted();
}

function namedLabels(values: readonly string[], classes: readonly string[], { names, column, locate }: LabelQuestion) {
  // Names that the metadata has and rows that have others: one of them is wrong.
  const unknown = names === undefined ? -1 : values.findIndex((name) => !names.includes(name));
  if (unknown >= 0)
    throw new DataError(
      `${locate(unknown)}, column ${column}: expected one of the classes that the file's metadata names (${names?.slice(0, 5).map(quote).join(", ")}), found ${quote(values[unknown] ?? "")}`,
    );
  const numbers = new Map(classes.map((name, number) => [name, number]));
  return { classes, labels: Int32Array.from(values, (name) => numbers.get(name) ?? 0) };
}

const featureSchema = z.object({
  name: z.string(),
  dtype: z.object({ class_label: z.object({ names: z.record(z.string(), z.coerce.string()) }) }),
});
const infoSchema = z.object({ config_name: z.string().optional(), features: z.array(z.unknown()) });
const headSchema = z.object({ dataset_info: z.union([infoSchema, z.array(infoSchema)]) });

/** The names that a README's head gives the classes of a column, in the order of their numbers; undefined where it gives none. */
export function readmeNames(
  readme: string,
  { column, config }: Pick<LabelQuestion, "column" | "config">,
): readonly string[] | undefined {
  const parsed = headSchema.safeParse(readmeHead(readme));
  if (!parsed.success) return undefined;
  const infos = [parsed.data.dataset_info].flat();
  const info = infos.length === 1 ? infos[0] : infos.find(({ config_name }) => config_name === (config ?? "default"));
  for (const entry of info?.features ?? []) {
    const feature = featureSchema.safeParse(entry);
    if (!feature.success || feature.data.name !== column) continue;
    const numbered = Object.entries(feature.data.dtype.class_label.names);
    return numbered.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, name]) => name);
  }
  return undefined;
}
