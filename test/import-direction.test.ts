/**
 * The architecture, enforced: a folder imports only from folders to its left, tfjs has one entry, and only
 * the command line touches the process.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../src");

/** Left to right; run/, run.ts, experiment/, library/ and cli/ come last. */
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
  "run.ts",
  "experiment",
  "library",
  "cli",
];
/** What the package exports: they only re-export, from anywhere. */
const roots = ["index.ts", "internal.ts"];
/** Importable from everywhere; they import only each other. */
const shared = ["errors.ts", "runtime"];

/** What the command line knows: verbs of the library, and what it needs to print their results. */
const FOR_CLI = [
  ...["cli", "library", "index.ts", ...shared],
  ...["report/csv.ts", "report/learned-gain.ts", "report/model-card.ts", "report/table.ts"],
  ...["track/byte-progress.ts", "track/console.ts", "track/terminal.ts"],
];

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll(path.sep, "/"))
  .filter((file) => file.endsWith(".ts"))
  .sort();

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

function areaOf(file: string): string {
  return file.includes("/") ? (file.split("/")[0] ?? "") : file;
}

/** Why `file` may not import `target` (both relative to src), or undefined when it may. */
function directionProblem(file: string, target: string): string | undefined {
  const [from, to] = [areaOf(file), areaOf(target)];
  if (from === "cli" && !FOR_CLI.some((part) => target === part || target.startsWith(`${part}/`)))
    return `${file} imports ${target}: cli imports the library, and of the rest ${FOR_CLI.join(", ")}`;
  if (from === "cli" && roots.includes(to)) return undefined;
  if (roots.includes(from) || from === to || shared.includes(to)) return undefined;
  if (shared.includes(from)) return `${file} imports ${target}: ${from} imports only ${shared.join(" and ")}`;
  const [fromPlace, toPlace] = [order.indexOf(from), order.indexOf(to)];
  if (fromPlace < 0) return `${file}: ${from} has no place in the order; give it one in this test and in the documents`;
  if (toPlace < 0) return `${file} imports ${target}, which has no place in the order`;
  return toPlace < fromPlace ? undefined : `${file} imports ${target}: ${from} is left of ${to}`;
}

test("there are sources to check", () => {
  expect(files).toContain("errors.ts");
});

test("folders import only from their left", () => {
  const problems = files.flatMap((file) =>
    importsOf(readFileSync(path.join(root, file), "utf8"))
      .filter((name) => name.startsWith("."))
      .map((name) => path.posix.normalize(path.posix.join(path.posix.dirname(file), name)).replace(/\.js$/, ".ts"))
      // What lies outside src (package.json) has no direction.
      .filter((target) => !target.startsWith(".."))
      .flatMap((target) => directionProblem(file, target) ?? []),
  );
  expect(problems).toEqual([]);
});

test("cli takes only types from index.ts, which loads everything", () => {
  const problems = files
    .filter((file) => areaOf(file) === "cli")
    .filter((file) => /^(?!import type).*["']\.\.\/index\.js["']/m.test(readFileSync(path.join(root, file), "utf8")));
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

/** The defaults of the library's options, where a program says nothing. */
const SURROUNDINGS = "library/surroundings.ts";
const SURROUNDING_USES = ["process.env", "process.cwd"];

test("only cli/ uses console, process.exit and the process's streams; the environment is read in one more file", () => {
  const forbidden = /\bconsole\.\w+|\bprocess\.(?:env|exit|exitCode|argv|stdout|stderr|stdin|on|cwd|chdir)\b/g;
  const problems = files
    .filter((file) => areaOf(file) !== "cli")
    .flatMap((file) => {
      const code = withoutComments(readFileSync(path.join(root, file), "utf8"));
      const uses = [...code.matchAll(forbidden)].map((match) => match[0]);
      return uses
        .filter((use) => file !== SURROUNDINGS || !SURROUNDING_USES.includes(use))
        .map((use) => `${file}: ${use}`);
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
  expect(directionProblem("config/load.ts", "merge/groups.ts")).toBe(
    "config/load.ts imports merge/groups.ts: config is left of merge",
  );
  expect(directionProblem("merge/groups.ts", "config/load.ts")).toBeUndefined();
  expect(directionProblem("runtime/mmap.ts", "errors.ts")).toBeUndefined();
  expect(directionProblem("runtime/mmap.ts", "config/load.ts")).toContain("runtime imports only errors.ts and runtime");
  expect(
    importsOf(
      'import type { A } from "./a.js";\nexport * from "./b.js"; // from "./no.js"\nawait import("./c.js"); import "./d.js";',
    ),
  ).toEqual(["./a.js", "./b.js", "./c.js", "./d.js"]);
});
