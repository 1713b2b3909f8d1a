/**
 * Programming languages: source files of packages under one permissive licence each (packages.ts). Comments and the
 * first five lines of what is left (imports, names of packages) are dropped, four lines make a piece, and a file gives
 * at most eight, spread over it. A file that names a copyleft licence is skipped whole, and so are files of third
 * parties inside a package. Split by file.
 */
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { wordsOf } from "../../../../src/data/text/near-texts.js";
import { oneLine, type SourceText } from "../labelled-text.js";
import { type CommentStyle, withoutComments } from "./comments.js";

interface CodeSource {
  readonly package: string;
  /** Folder inside the package; "" is all of it. */
  readonly folder: string;
}

interface CodeClass {
  readonly extensions: RegExp;
  readonly comments: CommentStyle;
  readonly sources: readonly CodeSource[];
}

const from = (name: string, folder = ""): CodeSource => ({ package: name, folder });

/** In the order of the classes. */
const CLASSES: readonly CodeClass[] = [
  { extensions: /\.py$/, comments: "python", sources: [from("networkx"), from("django"), from("jinja2")] },
  { extensions: /\.pm$/, comments: "perl", sources: [from("libmojolicious-perl")] },
  {
    extensions: /\.rb$/,
    comments: "ruby",
    sources: [from("ruby-sequel"), from("ruby-concurrent"), from("ruby-rouge"), from("ruby-thor"), from("rake")],
  },
  { extensions: /\.tcl$/, comments: "hash", sources: [from("tcllib", "usr/share/tcltk")] },
  { extensions: /\.go$/, comments: "slashes", sources: [from("golang-1.19-src", "usr/share/go-1.19/src")] },
  {
    extensions: /\.rs$/,
    comments: "slashes",
    sources: ["alloc", "core", "proc_macro", "std", "test"].map(rustLibrary),
  },
  { extensions: /\.erl$/, comments: "percent", sources: [from("erlang-src", "usr/lib/erlang/lib")] },
  { extensions: /\.lua$/, comments: "lua", sources: [from("lua-penlight"), from("luarocks")] },
  {
    extensions: /\.js$/,
    comments: "slashes",
    sources: [from("eslint", "lib"), from("webpack", "lib"), from("express"), from("lodash")],
  },
  {
    extensions: /\.php$/,
    comments: "php",
    sources: [from("php-doctrine-orm"), from("php-monolog"), from("php-parser")],
  },
  { extensions: /\.vim$/, comments: "vim", sources: [from("vim-ale"), from("vim-airline")] },
  {
    extensions: /\.h$/,
    comments: "slashes",
    sources: [from("x11proto-dev"), from("opencl-c-headers"), from("node-api-headers", "include")],
  },
  {
    extensions: /\.java$/,
    comments: "slashes",
    sources: [from("cordova-android"), from("react-native-svg"), from("react-native-webview")],
  },
];

function rustLibrary(name: string): CodeSource {
  return from("rust-src", `usr/src/rustc-1.63.0/library/${name}`);
}

/** Of others, generated, or data for tests. */
const FOREIGN = /(^|\/)(vendor|third[_-]?party|testdata|node_modules|fixtures|locale|docs?|examples)\//i;
const COPYLEFT = /General Public Licen[sc]e|\bA?L?GPL\b|Mozilla Public/;

const FIRST_LINES = 5;
const PIECE_LINES = 4;
const PIECES_OF_FILE = 8;
/** Pieces with fewer different names and keywords are braces and numbers, longer ones are tables of data. */
const LEAST_NAMES = 6;
const MOST_CHARACTERS = 300;
/** A language of more files gives this many, spread over its packages: 600 files are ten times what is drawn. */
const FILES_OF_CLASS = 600;

export async function readCode(filesDir: string): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const [label, { extensions, comments, sources }] of CLASSES.entries()) {
    const paths: string[] = [];
    for (const source of sources)
      paths.push(...(await sourceFiles(join(filesDir, source.package, source.folder), extensions)));
    for (const path of spread(paths, FILES_OF_CLASS)) {
      const content = await readFile(path, "utf8");
      texts.push(...cutCode(content, comments, label, relative(filesDir, path)));
    }
  }
  return texts;
}

export function cutCode(content: string, comments: CommentStyle, label: number, group: string): SourceText[] {
  if (COPYLEFT.test(content)) return [];
  const lines = withoutComments(content, comments).slice(FIRST_LINES);
  const pieces: string[] = [];
  for (let at = 0; at + PIECE_LINES <= lines.length; at += PIECE_LINES) {
    const text = oneLine(lines.slice(at, at + PIECE_LINES).join(" "));
    if (text.length <= MOST_CHARACTERS && namesIn(text) >= LEAST_NAMES) pieces.push(text);
  }
  return spread(pieces, PIECES_OF_FILE).map((text) => ({ text, label, group }));
}

function namesIn(text: string): number {
  return new Set(wordsOf(text).filter((word) => /^\p{L}/u.test(word))).size;
}

async function sourceFiles(folder: string, extensions: RegExp): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => extensions.test(name) && !FOREIGN.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** At most `most` of the items, at even distances. */
function spread<Item>(items: readonly Item[], most: number): Item[] {
  if (items.length <= most) return [...items];
  return items.filter(
    (_, index) => Math.floor(((index + 1) * most) / items.length) > Math.floor((index * most) / items.length),
  );
}
