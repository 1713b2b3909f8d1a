/**
 * A labelled data set as what experts and merges need: examples to train on, others to adapt and to choose on, others to
 * be judged on. A data set with splits of its own stays as it is; a collection is divided once, class by class, with
 * equal examples in one part, and the division is written down as a manifest.
 */
import { join } from "node:path";
import { classNames } from "../../data/classes.js";
import { openDataset } from "../../data/dataset.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import type { ColumnNaming } from "../../data/readers/columns.js";
import { keptTogether } from "../../data/repeated-examples.js";
import { ConfigError, DataError } from "../../errors.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { isThere } from "../../runtime/is-there.js";
import { readText } from "../../runtime/regular-file.js";
import { divide, type Shares, thinClassNotices } from "../init/divide-examples.js";
import { type GivenExamples, WHOLE } from "../init/example-sources.js";
import { MANIFEST_FILE, manifestFolder, manifestText, shownPath } from "../init/init-files.js";
import { datasetPlace } from "../init/split-of-file.js";

/** Most is trained on; an expert is worth what it has seen. */
const SHARES: Shares<"train" | "adapt" | "val" | "test"> = [
  ["train", 0.5],
  ["test", 0.2],
  ["adapt", 0.2],
  ["val", 0.1],
];
const naming: ColumnNaming = (option) => `add --finetune ${option}=NAME`;
/** Twice what a division of texts may have. */
const MAX_MANIFEST_BYTES = 400_000_000;

export interface DivideDataOptions {
  /** Of the suite. */
  readonly directory: string;
  readonly kind: KindName;
  /** Columns of its tables that are called otherwise, by the settings of a fine-tuning. */
  readonly columns: Readonly<Record<string, string>>;
  /** Replaces a division that is there and is another. */
  readonly force: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/**
 * The folder to read instead of what was given. Throws DataError for data without labels or of one class, and
 * ConfigError where another division was written before.
 */
export async function divideData({ name, path, flag }: GivenExamples, options: DivideDataOptions): Promise<string> {
  const { directory, kind, columns: named, force, signal, log } = options;
  const where = `${flag} ${name}`;
  const { many, columns } = kindOf(kind);
  const { place, own } = await datasetPlace(path, kind, where);
  if (own.length > 1) {
    const [setting] = Object.keys(named);
    if (setting === undefined) return place;
    throw new ConfigError(
      `${where}: ${path}: expected a single table with --finetune ${setting}=, found splits of its own (${own.join(", ")}), which the suite reads too; call its columns ${columns.usualInManifests[0]} and label`,
    );
  }
  const dataset = await openDataset({
    ...{ kind, path: place, split: own[0] ?? WHOLE, where, parameters: named, naming },
  });
  const { labels, files } = dataset;
  if (labels === undefined)
    throw new DataError(
      `${where}: ${path}: expected labels (a folder per class, or a column label), since there is no expert of ${name} yet, found none; ${naming("label_column")} where their column is called otherwise, or give the expert with --expert ${name}=PATH`,
    );
  if (files === undefined && columns.inManifests === "paths")
    throw new DataError(
      `${where}: ${path}: expected splits train and test, since its ${many} are not files of their own, found one split; divide it into train and test`,
    );
  const { firsts, notices } = await keptTogether(dataset, path, signal);
  const rows = await divide(dataset, { name, where, classes: classNames(dataset, where), shares: SHARES, firsts });
  for (const text of [...(dataset.notices ?? []), ...notices, ...thinClassNotices(path, rows, SHARES)])
    log(`notice: ${text}`);
  const folder = join(directory, manifestFolder(name, kind));
  const text = manifestText(kind, rows, (example) => shownPath(example, directory, folder));
  await keep(join(folder, MANIFEST_FILE), text, force);
  const counts = SHARES.map(([split]) => `${rows.filter((row) => row.split === split).length} ${split}`);
  log(`${name}: ${rows.length} ${many} divided by chance class by class: ${counts.join(", ")}`);
  return folder;
}

/** Writes it, or finds that it is there. */
async function keep(file: string, text: string, force: boolean): Promise<void> {
  if ((await isThere(file)) && !force) {
    if ((await readText(file, "a division of examples", MAX_MANIFEST_BYTES, ConfigError)) === text) return;
    throw new ConfigError(
      `${file}: expected the division that was made before, found another: the data has changed. Put it back, give another directory, or --force to divide and train anew`,
    );
  }
  await writeFileAtomic(file, text);
}
