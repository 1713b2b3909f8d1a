/**
 * WebDatasets, as the benchmark repositories `clip-benchmark/wds_*` have them: tar archives `<split>/0.tar`, `<split>/1.tar`, ..., in which an
 * example `<key>.<ending of its kind>` and its label `<key>.cls` (a number) follow one another; names of classes in `classnames.txt`. Archives are
 * looked through once for the places of the examples; these are read when asked for.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.js";
import { printable, quote } from "../../runtime/printable.js";
import { openRegular, readExactly, readTextIfThere } from "../../runtime/regular-file.js";
import type { ExampleKind } from "../kind.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { isInLeftover, isLeftover, PassedOver } from "./passed-over.js";
import { openTar, type TarEntry, type TarFile } from "./tar-entries.js";

const LABEL_EXTENSION = "cls";
export const CLASS_NAMES_FILE = "classnames.txt";
/** How many archives a split has, beside them. */
export const SHARD_COUNT_FILE = "nshards.txt";
const MAX_LABEL_BYTES = 20;
/** A number of archives, and names of classes: ImageNet-21k's have 500 KB. */
const MAX_COUNT_BYTES = 1000;
const MAX_CLASS_NAMES_BYTES = 50_000_000;

const parametersSchema = z.strictObject({});

export const webdatasetReader: DatasetReader = {
  name: "webdataset",
  title: () => "WebDataset",
  layout: () => `<split>/*.tar, with ${CLASS_NAMES_FILE}`,
  parameters: () => parametersSchema,
  detect: async (path) => (await namesBySplit(path)).size > 0,
  splits: async (path) => {
    const splits = [...(await namesBySplit(path)).keys()];
    return splits.length > 0 ? splits : undefined;
  },
  open: openWebdataset,
};

/** The archives of a split among the names in a data set (with slashes), in the order of their numbers. */
export function archivesOf(names: readonly string[], split: string): readonly string[] {
  return names
    .filter((name) => dirname(name) === split && name.endsWith(".tar") && !isInLeftover(name))
    .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

interface Sample {
  readonly archive: string;
  readonly name: string;
  readonly example: TarEntry;
  readonly label: number | undefined;
}

async function openWebdataset(request: ReadRequest): Promise<Dataset> {
  readerParameters(parametersSchema, request);
  const { path, split, where, kind } = request;
  const bySplit = await namesBySplit(path);
  const archives = bySplit.get(split);
  if (archives === undefined)
    throw new DataError(
      `${where}: ${path}: expected archives ${split}/*.tar, found the splits ${[...bySplit.keys()].join(", ")}`,
    );
  await checkCount(join(path, split), archives.length, where);
  const samples: Sample[] = [];
  const passed = new PassedOver();
  for (const archive of archives) samples.push(...(await samplesOf(join(path, ...archive.split("/")), kind, passed)));
  for (const name of await readdir(join(path, split)))
    if (!archives.includes(`${split}/${name}`) && name !== SHARD_COUNT_FILE) passed.add(name);
  if (samples.length === 0)
    throw new DataError(
      `${where}: ${join(path, split)}: expected at least 1 ${kind.one} in ${archives.length} archives, found ${passed.text || "none"}`,
    );
  const sampleAt = (index: number): Sample => {
    const sample = samples[index];
    if (sample === undefined) throw new RangeError(`example ${index} is not in the split`);
    return sample;
  };
  const labels = labelsOf(samples, kind, where);
  const classes = await classNames(path);
  const locate = (index: number) => `${sampleAt(index).archive}: ${printable(sampleAt(index).name)}`;
  return {
    kind: kind.name,
    name: basename(path),
    split,
    size: samples.length,
    encoded: async (index) => kind.files.fromBytes(await readBytes(sampleAt(index), kind), locate(index)),
    locate,
    notices: passed.notices(join(path, split)),
    ...(labels === undefined
      ? { unlabelled: `${join(path, split)}: expected a .${LABEL_EXTENSION} beside each ${kind.one}, found none` }
      : {}),
    ...(labels === undefined || classes === undefined ? {} : { classes }),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** Archives by the folders that hold some: those are the splits. */
async function namesBySplit(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const bySplit = new Map<string, readonly string[]>();
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || isLeftover(entry.name)) continue;
    const inside = await readdir(join(path, entry.name)).catch(() => []);
    const names = archivesOf(
      inside.map((name) => `${entry.name}/${name}`),
      entry.name,
    );
    if (names.length > 0) bySplit.set(entry.name, names);
  }
  return bySplit;
}

async function checkCount(folder: string, count: number, where: string): Promise<void> {
  const file = join(folder, SHARD_COUNT_FILE);
  const text = await readTextIfThere(file, "the number of a split's archives", MAX_COUNT_BYTES, DataError);
  if (text === undefined || Number(text) === count) return;
  throw new DataError(
    `${where}: ${file}: expected ${printable(text.trim())} archives, found ${count}; download the split again`,
  );
}

/** The examples of an archive in its order, each with the label of the same key; `passed` counts what else is in it. */
async function samplesOf(archive: string, kind: ExampleKind, passed: PassedOver): Promise<readonly Sample[]> {
  const tar = await openTar(archive);
  try {
    const samples: Sample[] = [];
    let current: { key: string; example?: TarEntry; label?: number; labelName?: string } | undefined;
    const finish = () => {
      if (current?.example !== undefined)
        samples.push({ archive, name: current.example.name, example: current.example, label: current.label });
      else if (current?.labelName !== undefined)
        passed.addKind(`.${LABEL_EXTENSION} without ${kind.some} before or after`, current.labelName);
    };
    for await (const entry of tar.entries()) {
      // What is no UTF-8 was replaced: two names could have become one.
      if (entry.name.includes("\ufffd"))
        throw new DataError(
          `${archive}: expected names in UTF-8, found the member ${quote(entry.name)} in another encoding; pack the ${kind.many} anew under other names`,
        );
      const [, key, extension] = /^((?:.*\/)?[^/.]+)\.([^/]+)$/.exec(entry.name) ?? [];
      if (key === undefined || extension === undefined || isInLeftover(entry.name)) {
        passed.add(entry.name);
        continue;
      }
      if (key !== current?.key) {
        finish();
        current = { key };
      }
      if (extension === LABEL_EXTENSION) {
        current.label = await readLabel(tar, entry);
        current.labelName = entry.name;
      } else if (!kind.files.hasExtension(extension)) passed.add(entry.name);
      else {
        const { example } = current;
        if (example !== undefined) passed.addKind(`${kind.many} beside another of the same key`, example.name);
        current.example = entry;
      }
    }
    finish();
    return samples;
  } finally {
    await tar.close();
  }
}

async function readLabel(tar: TarFile, entry: TarEntry): Promise<number> {
  const text =
    entry.sizeBytes > MAX_LABEL_BYTES
      ? "more than a number"
      : Buffer.from(await tar.read(entry))
          .toString("utf8")
          .trim();
  if (/^\d+$/.test(text) && Number(text) <= 2 ** 31 - 1) return Number(text);
  throw new DataError(`${tar.path}: ${entry.name}: expected a class number >= 0, found ${JSON.stringify(text)}`);
}

/** All labels, or undefined when there are none. */
function labelsOf(samples: readonly Sample[], { many }: ExampleKind, where: string): Int32Array | undefined {
  const lacking = samples.find(({ label }) => label === undefined);
  if (lacking === undefined) return Int32Array.from(samples, ({ label }) => label ?? -1);
  if (samples.every(({ label }) => label === undefined)) return undefined;
  throw new DataError(
    `${where}: ${lacking.archive}: ${lacking.name}: expected a label (.${LABEL_EXTENSION}) as other ${many} have, found none`,
  );
}

async function classNames(path: string): Promise<readonly string[] | undefined> {
  const file = join(path, CLASS_NAMES_FILE);
  const text = await readTextIfThere(file, "the names of classes", MAX_CLASS_NAMES_BYTES, DataError);
  const names = text?.split(/\r?\n/).map((line) => line.trim());
  if (names?.at(-1) === "") names.pop();
  return names;
}

async function readBytes({ archive, name, example }: Sample, { some, files }: ExampleKind): Promise<Uint8Array> {
  if (example.sizeBytes > files.maxBytes)
    throw new DataError(
      `${archive}: ${name}: expected ${some} of at most ${files.maxBytes} bytes, found ${example.sizeBytes}`,
    );
  const file = await openRegular(archive, "a tar archive", DataError);
  try {
    const bytes = new Uint8Array(example.sizeBytes);
    await readExactly(file, bytes, example.offset, archive, DataError);
    return bytes;
  } finally {
    await file.close();
  }
}
