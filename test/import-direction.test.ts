/**
 * The architecture, enforced: each folder opens with a page (README.md) that says what it is for and what it may import, and the sources keep to it;
 * a folder imports only from folders to its left, tfjs has one entry, and only the command line touches the process.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../src");

/** Left to right. */
const order = [
  "config",
  "checkpoint",
  "data",
  "engine",
  "model",
  "merge",
  "objective",
  "optimize",
  "track",
  "report",
  "launch",
  "run",
  "experiment",
  "library",
  "cli",
];
/** What the package exports: they only re-export, from anywhere. */
const roots = ["index.ts", "internal.ts"];
/** Importable from everywhere; they import only each other. */
const shared = ["errors.ts", "runtime"];
/** Has a folder for each of its subjects, with a page of its own, and no files beside them. */
const DIVIDED = "run";
/** Lines of a page below its heading. */
const [LEAST_LINES, MOST_LINES] = [3, 6];

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll(path.sep, "/"))
  .filter((file) => file.endsWith(".ts"))
  .sort();

const foldersIn = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => path.posix.join(folder, name));
/** Those with a page. */
const folders = [...foldersIn(""), ...foldersIn(DIVIDED)];

interface Page {
  readonly lines: readonly string[];
  /** Folders and files, relative to src. */
  readonly mayImport: readonly string[];
}

/** A heading, what the folder is for, and one paragraph `May import: ...` that names folders and files. */
function pageOf(text: string): Page {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const [, imports = ""] = /^(May import: [\s\S]*?)(?:\n\n|$(?![\s\S]))/m.exec(text) ?? [];
  const mayImport = [...imports.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  return { lines, mayImport: [...new Set(mayImport)] };
}

const pages = new Map(
  folders.flatMap((folder): [string, Page][] => {
    const file = path.join(root, folder, "README.md");
    return existsSync(file) ? [[folder, pageOf(readFileSync(file, "utf8"))]] : [];
  }),
);
const mayImport = (folder: string): readonly string[] => pages.get(folder)?.mayImport ?? [];

/** Modules a source imports: static, re-exported, dynamic, types included. */
function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["']([^"'\n]+)["']/g;
  return [...code.matchAll(pattern)].map((match) => match[1] ?? "");
}

/** Good enough for our own formatted sources: block comments and line comments that are not part of a URL. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

/** The folder whose page a file obeys, or the file itself outside all folders. */
function areaOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  if (!file.includes("/")) return file;
  return first === DIVIDED && file.split("/").length > 2 ? `${first}/${second}` : first;
}

const isWithin = (target: string, place: string): boolean => target === place || target.startsWith(`${place}/`);
const isShared = (target: string): boolean => shared.some((place) => isWithin(target, place));

/** Why `file` may not import `target` (both relative to src), or undefined when it may. */
function importProblem(file: string, target: string): string | undefined {
  const from = areaOf(file);
  if (roots.includes(from) || from === areaOf(target) || isShared(target)) return undefined;
  if (shared.includes(from)) return `${file} imports ${target}: ${from} imports only ${shared.join(" and ")}`;
  if (mayImport(from).some((place) => isWithin(target, place))) return undefined;
  return `${file} imports ${target}: src/${from}/README.md does not say that ${from} may`;
}

/** Why a page may not say that `folder` imports `place`, or undefined when it may. */
function directionProblem(folder: string, place: string): string | undefined {
  const [from = "", to = ""] = [folder, place].map((name) => name.split("/")[0]);
  if (isShared(place) || roots.includes(place) || (from === DIVIDED && to === DIVIDED)) return undefined;
  const [fromPlace, toPlace] = [order.indexOf(from), order.indexOf(to)];
  if (fromPlace < 0) return `${folder} has no place in the order; give it one in this test and in the documents`;
  if (toPlace < 0) return `${folder}: ${place} has no place in the order`;
  return toPlace < fromPlace ? undefined : `${folder}: ${from} is left of ${to}`;
}

/** What a file of src imports of src. What lies outside (package.json) has no direction. */
function targetsOf(file: string): string[] {
  return importsOf(readFileSync(path.join(root, file), "utf8"))
    .filter((name) => name.startsWith("."))
    .map((name) => path.posix.normalize(path.posix.join(path.posix.dirname(file), name)).replace(/\.js$/, ".ts"))
    .filter((target) => !target.startsWith(".."));
}

test("there are sources to check", () => {
  expect(files).toContain("errors.ts");
  expect(files.filter((file) => areaOf(file) === DIVIDED)).toEqual([]);
});

test("every folder has a page of a few lines that says what it is for and what it may import", () => {
  const problems = folders.flatMap((folder) => {
    const page = pages.get(folder);
    if (page === undefined) return [`src/${folder}/README.md: expected a page, found none`];
    const [heading, ...lines] = page.lines;
    const isShort = lines.length >= LEAST_LINES && lines.length <= MOST_LINES;
    const isWhole = heading === `# ${folder}/` && lines.some((line) => line.startsWith("May import: "));
    return isShort && isWhole
      ? []
      : [`src/${folder}/README.md: expected "# ${folder}/", a few lines, "May import: ..."`];
  });
  expect(problems).toEqual([]);
});

test("files import only what the pages of their folders say", () => {
  expect(files.flatMap((file) => targetsOf(file).flatMap((target) => importProblem(file, target) ?? []))).toEqual([]);
});

test("pages name nothing that is not imported, and a divided folder what its parts do", () => {
  const unused = [...pages].flatMap(([folder, page]) => {
    const targets = files.filter((file) => isWithin(file, folder)).flatMap(targetsOf);
    const idle = page.mayImport.filter((place) => !targets.some((target) => isWithin(target, place)));
    return idle.filter((place) => !isShared(place)).map((place) => `src/${folder}/README.md: ${place}`);
  });
  expect(unused).toEqual([]);
  const parts = folders.filter((folder) => isWithin(folder, DIVIDED) && folder !== DIVIDED);
  const outside = parts.flatMap(mayImport).filter((place) => !isWithin(place, DIVIDED));
  expect(new Set(mayImport(DIVIDED))).toEqual(new Set(outside));
});

test("folders import only from their left", () => {
  expect(
    folders.flatMap((folder) => mayImport(folder).flatMap((place) => directionProblem(folder, place) ?? [])),
  ).toEqual([]);
  // The parts of a divided folder have no order of their own, but no circles either.
  const reach = (folder: string, seen: ReadonlySet<string>): readonly string[] =>
    mayImport(folder).flatMap((place) => {
      if (seen.has(place)) return [[...seen, place].join(" -> ")];
      return folders.includes(place) && isWithin(place, DIVIDED) ? reach(place, new Set([...seen, place])) : [];
    });
  expect(folders.flatMap((folder) => reach(folder, new Set([folder])))).toEqual([]);
});

test("cli takes only types from index.ts, which loads everything", () => {
  const problems = files
    .filter((file) => areaOf(file) === "cli")
    .filter((file) =>
      [
        ...readFileSync(path.join(root, file), "utf8").matchAll(
          /^import (.*?) ?from "\.\.\/index\.js"|import\("\.\.\/index\.js"\)/gms,
        ),
      ].some(
        ([, what = ""]) =>
          !what
            .split(/^import /m)
            .at(-1)
            ?.startsWith("type "),
      ),
    );
  expect(problems).toEqual([]);
});

test("tfjs is imported by src/engine/tfjs.ts alone", () => {
  const users = files.filter((file) =>
    importsOf(readFileSync(path.join(root, file), "utf8")).some((name) =>
      /^@tensorflow\/tfjs(-core|-layers|-converter)?($|\/)/.test(name),
    ),
  );
  expect(users.filter((file) => file !== "engine/tfjs.ts")).toEqual([]);
});

const ALLOWED_USES: ReadonlyMap<string, readonly string[]> = new Map([
  // The defaults of the library's options, where a program says nothing.
  ["library/surroundings.ts", ["process.env", "process.cwd"]],
  // Set, not read: TensorFlow's library takes its settings from the environment of its process.
  ["engine/tensorflow.ts", ["process.env"]],
  // A program's text, for model cards.
  ["report/usage-lines.ts", ["console.log"]],
]);

test("only cli/ uses console, process.exit and the process's streams; the environment is read in one more file", () => {
  const forbidden = /\bconsole\.\w+|\bprocess\.(?:env|exit|exitCode|argv|stdout|stderr|stdin|on|cwd|chdir)\b/g;
  const problems = files
    .filter((file) => areaOf(file) !== "cli")
    .flatMap((file) => {
      const code = withoutComments(readFileSync(path.join(root, file), "utf8"));
      const uses = [...code.matchAll(forbidden)].map((match) => match[0]);
      return uses.filter((use) => ALLOWED_USES.get(file)?.includes(use) !== true).map((use) => `${file}: ${use}`);
    });
  expect(problems).toEqual([]);
});

test("no default exports", () => {
  const users = files.filter((file) =>
    /^export default\b/m.test(withoutComments(readFileSync(path.join(root, file), "utf8"))),
  );
  expect(users).toEqual([]);
});

test("the rules themselves", () => {
  expect(importProblem("config/load.ts", "merge/groups.ts")).toBe(
    "config/load.ts imports merge/groups.ts: src/config/README.md does not say that config may",
  );
  expect(importProblem("merge/groups.ts", "config/load.ts")).toBeUndefined();
  expect(importProblem("runtime/mmap.ts", "errors.ts")).toBeUndefined();
  expect(importProblem("runtime/mmap.ts", "config/load.ts")).toContain("runtime imports only errors.ts and runtime");
  expect(importProblem("run/suite/open-examples.ts", "run/fit/fit.ts")).toContain("src/run/suite/README.md");
  expect(importProblem("cli/fit.ts", "run/fit/fit.ts")).toContain("src/cli/README.md");
  expect(importProblem("cli/fit.ts", "report/html.ts")).toContain("src/cli/README.md");
  expect(directionProblem("config", "merge")).toBe("config: config is left of merge");
  expect(directionProblem("run/fit", "library")).toBe("run/fit: run is left of library");
  expect(directionProblem("report", "track/terminal.ts")).toBeUndefined();
  expect(pageOf("# a/\n\nFor `x`.\n\nMay import: `b`,\n`c/d.ts`.\n").mayImport).toEqual(["b", "c/d.ts"]);
  expect(
    importsOf(
      'import type { A } from "./a.js";\nexport * from "./b.js"; // from "./no.js"\nawait import("./c.js"); import "./d.js";',
    ),
  ).toEqual(["./a.js", "./b.js", "./c.js", "./d.js"]);
});
