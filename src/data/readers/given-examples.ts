/**
 * Examples that somebody names, one after the other and never all at once: files, folders of them, rows of tables,
 * lines of text files. There are no splits, classes or labels here, as data sets have them (dataset.ts). What cannot be
 * read is an example too, one that throws when it is asked for, so that the others are not lost.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../../errors.js";
import type { ExampleKind } from "../kind.js";
import { isExampleName, readExampleFile } from "./example-file.js";
import { foreignName, listEntries, namesLike } from "./file-names.js";
import { examplesInParquet, examplesInTable, type GivenColumns } from "./given-tables.js";
import { isLeftover, PassedOver } from "./passed-over.js";
import { PARQUET } from "./split-files.js";
import { TABLE_EXTENSIONS } from "./table-rows.js";
import { wholeLines } from "./utf8-text.js";

export interface GivenExample {
  /** What a person calls it: its path as it was given, and its line or row. */
  readonly source: string;
  /** Its bytes, as a data set has them. Throws DataError where it cannot be read. */
  readonly encoded: () => Promise<Uint8Array>;
  /** The second text of a pair. */
  readonly second?: () => Promise<Uint8Array>;
}

/** A file or folder. */
export interface GivenPath {
  /** As it was given. */
  readonly shown: string;
  /** Absolute. */
  readonly path: string;
}

export interface GivenOptions extends GivenColumns {
  /** Each line of a text file is an example; else the file is. */
  readonly byLines?: boolean | undefined;
  /** Is told what was passed over or assumed. */
  readonly notice: (text: string) => void;
}

/**
 * The examples of all paths, in their order; those of a folder in the order of their names, with those of the folders
 * in it.
 */
export async function* givenExamples(
  paths: readonly GivenPath[],
  kind: ExampleKind,
  options: GivenOptions,
): AsyncGenerator<GivenExample> {
  for (const given of paths) {
    try {
      yield* examplesAt(given, kind, options);
    } catch (error) {
      // A table that breaks off, a folder that is closed: what was read of it stands.
      if (!(error instanceof DataError)) throw error;
      yield unread(given.shown, error);
    }
  }
}

/** An example that only says why it is none. */
function unread(source: string, error: DataError): GivenExample {
  return {
    source,
    encoded: async () => {
      throw error;
    },
  };
}

async function* examplesAt(given: GivenPath, kind: ExampleKind, options: GivenOptions): AsyncGenerator<GivenExample> {
  const { shown, path } = given;
  const found = await stat(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${shown}: expected ${kind.many} there, found that it cannot be opened (${reason})`);
  });
  // A path seldom has blanks, a text nearly always.
  const asText =
    kind.columns.inManifests === "texts" && /\s/.test(shown) ? ", or give a text itself behind --text" : "";
  if (found === undefined)
    throw new DataError(
      `${shown}: expected a file or folder of ${kind.many}, found nothing there${await namesLike(path)}; check the path${asText}`,
    );
  if (found.isDirectory()) yield* examplesInFolder(given, kind, options);
  else if (endsWith(path, TABLE_EXTENSIONS)) yield* examplesInTable(given, kind, options);
  else if (endsWith(path, PARQUET)) yield* examplesInParquet(given, kind, options);
  else if (options.byLines === true) yield* linesOf(given, kind);
  else yield exampleFile(given, kind, options.notice);
}

function endsWith(path: string, extensions: readonly string[]): boolean {
  return extensions.some((extension) => path.toLowerCase().endsWith(`.${extension}`));
}

/** `notice`: of a file that somebody names by itself, which may have been meant as a list. */
function exampleFile(
  { shown, path }: GivenPath,
  kind: ExampleKind,
  notice: (text: string) => void = () => {},
): GivenExample {
  const read = () =>
    readExampleFile(path, kind).catch((error: unknown) => {
      // It was given under this name, not under the absolute one.
      const isOwn = error instanceof DataError && error.message.startsWith(path);
      throw isOwn ? new DataError(shown + error.message.slice(path.length)) : error;
    });
  const encoded = async () => {
    const bytes = kind.files.fromBytes(await read(), shown);
    const lines = kind.columns.inManifests === "texts" ? filledLines(bytes) : 1;
    if (lines > 1) notice(`${shown}: its ${lines} lines are taken as one text; with --lines each is a text of its own`);
    return bytes;
  };
  return { source: shown, encoded };
}

function filledLines(text: Uint8Array): number {
  return Buffer.from(text)
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "").length;
}

/** Links to files are followed, links to folders are not: one of them may lead back. */
async function* examplesInFolder(
  { shown, path }: GivenPath,
  kind: ExampleKind,
  options: GivenOptions,
): AsyncGenerator<GivenExample> {
  const passed = new PassedOver();
  let count = 0;
  const visit = async function* (folder: GivenPath): AsyncGenerator<GivenPath> {
    const entries = await listEntries(folder.path).catch((error: unknown) => {
      throw new DataError(`${folder.shown}: expected a readable folder (${String(error)}); check its permissions`);
    });
    for (const { name, isText, isFolder } of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (isLeftover(name)) passed.add(name);
      else if (!isText) throw foreignName(folder.shown, isFolder ? "the folder" : "the file", name);
      else if (isFolder) yield* visit({ shown: join(folder.shown, name), path: join(folder.path, name) });
      else if (!isExampleName(name, kind)) passed.add(name);
      else yield { shown: join(folder.shown, name), path: join(folder.path, name) };
    }
  };
  for await (const file of visit({ shown, path })) {
    count += 1;
    if (options.byLines === true) yield* linesOf(file, kind);
    else yield exampleFile(file, kind);
  }
  if (count === 0)
    throw new DataError(
      `${shown}: expected ${kind.many} (${kind.files.formats}) in the folder or those in it, found ${passed.text || "none"}; name tables by their own paths`,
    );
  for (const notice of passed.notices(shown)) options.notice(notice);
}

/** Empty lines are examples too, so that the results of a file have as many lines as it. */
async function* linesOf({ shown, path }: GivenPath, kind: ExampleKind): AsyncGenerator<GivenExample> {
  const form = { name: "text", file: "a text file", inUtf8: "UTF-8", maxLength: kind.columns.maxRowLength };
  let line = 0;
  for await (const chunk of wholeLines(path, shown, form)) {
    const lines = chunk.split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (const text of lines) {
      line += 1;
      const source = `${shown}:${line}`;
      const bytes = Buffer.from(text.endsWith("\r") ? text.slice(0, -1) : text, "utf8");
      yield { source, encoded: async () => kind.files.fromBytes(bytes, source) };
    }
  }
}
