/**
 * Which files of a data set's repository on the hub are needed for some of its splits: the parquet files, and README.md where it told; or the
 * archives of a WebDataset, and what is said beside them; or tables of texts (CSV, JSON lines). It is not known yet what the model takes: tables
 * are chosen where the repository has nothing else that they could name.
 */

import { dirname } from "node:path/posix";
import type { ChooseFiles } from "../../checkpoint/hub/snapshot.js";
import { kindOf } from "../kinds.js";
import { SPLIT_NAMES } from "../split-names.js";
import { isExampleName } from "./example-file.js";
import {
  announceAll,
  chooseSplitFiles,
  PARQUET,
  README_NAME,
  type SplitChoice,
  type SplitQuestion,
} from "./split-files.js";
import { TABLE_EXTENSIONS } from "./table-rows.js";
import { archivesOf, CLASS_NAMES_FILE, SHARD_COUNT_FILE } from "./webdataset.js";

/** Images that the README of a data set of texts shows. */
const MOST_FIGURES = 20;

/** Chooses the files of `splits` (names in the data set) of one config. */
export function datasetFiles({
  config,
  splits,
}: {
  readonly config: string | undefined;
  readonly splits: readonly string[];
}): ChooseFiles {
  return async (names, read) => {
    const readme = async () => (names.includes(README_NAME) ? (await read(README_NAME)).toString("utf8") : undefined);
    const files = new Set<string>();
    const absent: string[] = [];
    // Of a part of the names it is only sure which config is meant, and that a split is whole, when it is said.
    let certain = true;
    for (const split of new Set(splits)) {
      const parquet = await chooseSplitFiles({ names, extensions: PARQUET, split, config, readme });
      const choice = parquet.files.length > 0 ? parquet : await orTables(parquet, { names, split, config, readme });
      for (const name of choice.files) files.add(name);
      if (choice.usedReadme) files.add(README_NAME);
      const archives = choice.files.length === 0 ? archivesOf(names, split) : [];
      for (const name of archives) files.add(name);
      const beside = archives.length === 0 ? [] : [CLASS_NAMES_FILE, `${split}/${SHARD_COUNT_FILE}`];
      for (const name of beside) if (names.includes(name)) files.add(name);
      if (choice.files.length + archives.length === 0)
        absent.push(
          choice === parquet
            ? `parquet files${absentSplit(split, config, choice)}${otherForms(names)}`
            : `files${absentSplit(split, config, choice)}`,
        );
      if (!announceAll(choice.files) || choice.usedReadme) certain = false;
      if (config === undefined && choice.files.some((name) => !/^(?:data\/)?[^/]+$/.test(name))) certain = false;
    }
    return { files: [...files], absent, certain };
  };
}

/** The tables of a split, where a repository of texts has no parquet; else the choice there was. */
async function orTables(parquet: SplitChoice, question: Omit<SplitQuestion, "extensions">): Promise<SplitChoice> {
  const { names } = question;
  const images = names.filter((name) => isExampleName(name, kindOf("image"))).length;
  const hasOthers = names.some((name) => /\.(?:parquet|tar|zip|tar\.gz|tgz)$/.test(name));
  if (hasOthers || images > MOST_FIGURES) return parquet;
  const tables = await chooseSplitFiles({ ...question, extensions: TABLE_EXTENSIONS });
  const splits = tables.splits.filter((name) => SPLIT_NAMES.has(name.toLowerCase()));
  return tables.files.length + splits.length > 0 ? { ...tables, splits } : parquet;
}

/** What to do with a repository that has its examples in another form. */
function otherForms(names: readonly string[]): string {
  if (names.length === 0 || names.some((name) => name.endsWith(".parquet"))) return "";
  const archives = [...new Set(names.filter((name) => name.endsWith(".tar")).map((name) => dirname(name)))];
  const found = archives.length > 0 ? `archives in ${archives.join(", ")}` : "no parquet files";
  return ` (it has ${found}; the hub keeps a parquet copy of most data sets in the revision refs/convert/parquet: org/name@refs/convert/parquet)`;
}

function absentSplit(
  split: string,
  config: string | undefined,
  { splits, configs }: { readonly splits: readonly string[]; readonly configs: readonly string[] },
): string {
  const named = ` of split ${split}${config === undefined ? "" : ` of config ${config}`}`;
  if (configs.length > 0) return `${named} (its configs are ${configs.join(", ")}; say which under dataset.config)`;
  return splits.length > 0 ? `${named} (its splits are ${splits.join(", ")}; map them under dataset.splits)` : named;
}
