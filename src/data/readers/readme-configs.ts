/**
 * The configs that a data set's README.md describes in its head (the hub's metadata: `configs`, each with `data_files` by split as
 * paths or patterns), for data sets whose file names alone do not say which belong to a split.
 */
import { z } from "zod";
import { parseStrict, parseYaml, plainValue } from "../../config/strict-yaml.js";
import { DataError } from "../../errors.js";
import { type Glob, parseGlob } from "./glob.js";
import type { SplitChoice, SplitQuestion } from "./split-files.js";

/** A card's head is a few kilobytes; those with thousands of configs have some megabytes. */
export const MAX_README_LENGTH = 10_000_000;
/** No longer than the names that they match. */
const MAX_PATTERN_LENGTH = 1000;
/** Letters of all patterns of a split times letters of all names: what matching takes, some seconds at most. Paths without stars do not count. */
const MAX_MATCHING = 1e9;

const paths = z.union([z.string(), z.array(z.string())]);
const filesOfSplit = z.object({ split: z.string(), path: paths });
const configSchema = z.object({
  config_name: z.string(),
  default: z.boolean().optional(),
  data_files: z.union([paths, z.array(filesOfSplit)]).optional(),
});
const headSchema = z.object({ configs: z.array(configSchema) });
type Config = z.infer<typeof configSchema>;

/** The choice that the README makes; undefined when it describes no configs, or not the one that is meant. Throws DataError for YAML that is broken. */
export function readmeFiles(
  readme: string,
  { names, extensions, split, config }: Omit<SplitQuestion, "readme">,
): Omit<SplitChoice, "usedReadme"> | undefined {
  const configs = configsOf(readme);
  const known = configs.map(({ config_name }) => config_name);
  const meant = chosenConfig(configs, config);
  if (meant === undefined) return known.length === 0 ? undefined : { files: [], splits: [], configs: known };
  const bySplit = splitPatterns(meant);
  const candidates = names.filter((name) => extensions.some((extension) => name.endsWith(`.${extension}`)));
  const { paths, globs } = sorted(bySplit.get(split) ?? [], candidates);
  const files = candidates.filter((name) => paths.has(name) || globs.some((glob) => glob.fits(name)));
  return { files: files.toSorted(), splits: [...bySplit.keys()], configs: [] };
}

function configsOf(readme: string): readonly Config[] {
  const head = headText(readme);
  if (head === undefined) return [];
  const parsed = headSchema.safeParse(parseYaml(head, "README.md", { Failure: DataError }).value);
  return parsed.success ? parsed.data.configs : [];
}

/** What stands in the README's head; undefined where there is none, or none that can be read. */
export function readmeHead(readme: string): unknown {
  const { node, problems } = parseStrict(headText(readme) ?? "");
  return problems.length > 0 ? undefined : plainValue(node);
}

/** With a line for the fence, so that mistakes have the lines of the file. */
function headText(readme: string): string | undefined {
  const head = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readme.slice(0, MAX_README_LENGTH))?.[1];
  return head === undefined ? undefined : `\n${head}`;
}

function chosenConfig(configs: readonly Config[], name: string | undefined): Config | undefined {
  if (name !== undefined) return configs.find(({ config_name }) => config_name === name);
  const marked = configs.find((config) => config.default) ?? configs.find((config) => config.config_name === "default");
  return marked ?? (configs.length === 1 ? configs[0] : undefined);
}

function splitPatterns({ data_files: files }: Config): ReadonlyMap<string, readonly string[]> {
  const patterns = new Map<string, readonly string[]>();
  for (const entry of Array.isArray(files) ? files : [])
    if (typeof entry === "object") patterns.set(entry.split, [entry.path].flat());
  return patterns;
}

/** Paths as they stand, and patterns; a pattern that is too long matches nothing. Throws DataError when there are too many for the names. */
function sorted(
  patterns: readonly string[],
  names: readonly string[],
): { readonly paths: ReadonlySet<string>; readonly globs: readonly Glob[] } {
  const plain = patterns.map((pattern) => pattern.replace(/^\.?\//, ""));
  const globs = plain.filter((pattern) => /[*?]/.test(pattern) && pattern.length <= MAX_PATTERN_LENGTH);
  const letters = (texts: readonly string[]) => texts.reduce((sum, { length }) => sum + length, 0);
  if (letters(globs) * letters(names) > MAX_MATCHING)
    throw new DataError(
      `README.md: expected a few patterns of files for a split, found ${globs.length} for ${names.length} files; give the files names that tell their split (<split>-00000-of-00001.parquet)`,
    );
  return { paths: new Set(plain), globs: globs.map(parseGlob) };
}
