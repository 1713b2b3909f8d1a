/** README and docs: links that lead somewhere, commands and options that exist, names that ship, error words that are in the source. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { referencePages } from "../scripts/docs/reference.js";
import { shippedFiles } from "../src/config/shipped-files.js";
import { ROOT, runCli } from "./support/cli.js";

const PAGES = ["README.md", "ARCHITECTURE.md", ...markdownIn("docs")];
const TEXTS = new Map(PAGES.map((page) => [page, readFileSync(join(ROOT, page), "utf8")]));

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("api"))
    .map((name) => join(folder, name));
}

describe.each(PAGES)("%s", (page) => {
  const text = TEXTS.get(page) ?? "";

  it("has links that lead somewhere", () => {
    const prose = text.replaceAll(/```[\s\S]*?```/g, "");
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    for (const link of links) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      // Made of the comments, when the site is; a dead link fails there.
      if (join(dirname(page), path).startsWith(join("docs", "api"))) continue;
      const target = join(ROOT, dirname(page), path);
      const found = path === "" ? text : readTarget(target);
      expect(found, `${page}: ${link}`).toBeDefined();
      if (anchor !== undefined) expect(anchors(found ?? ""), `${page}: ${link}`).toContain(anchor);
    }
  });

  it.skipIf(page.startsWith(join("docs", "reference")))("has prose in lines of at most 120 characters", () => {
    const prose = text.replaceAll(/```[\s\S]*?```/g, "").split("\n");
    expect(prose.filter((line) => line.length > 120 && !/^(\|| {4}|!?\[)/.test(line))).toEqual([]);
  });
});

function readTarget(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? readFileSync(path, "utf8") : found === undefined ? undefined : "";
}

/** As GitHub makes them of headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Commands in indented blocks and fences: `adamerge VERB ... # remark`. */
function commands(): { page: string; line: string; words: string[] }[] {
  return [...TEXTS].flatMap(([page, text]) =>
    [...text.matchAll(/^ {4}(?:npx )?adamerge ([^\n]*)$/gm)].map(([, line = ""]) => {
      const words = line.replace(/\s+#.*$/, "").split(/\s+/);
      return { page, line, words };
    }),
  );
}

describe("commands in the pages", () => {
  const verbs = [...new Set(commands().map(({ words: [verb = ""] }) => verb))];

  it.each(verbs)("adamerge %s is a verb, with the options that are used", async (verb) => {
    const { code, stdout } = await runCli(ROOT, [...(verb === "config" ? ["config", "show"] : [verb]), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`adamerge ${verb}`);
    for (const { page, line, words } of commands().filter(({ words: [first] }) => first === verb)) {
      for (const option of words.filter((word) => /^--?[a-z]/.test(word)))
        expect(stdout, `${page}: ${line}`).toMatch(new RegExp(`(^|\\s)${option.replace(/=.*/, "")}[\\s,]`, "m"));
    }
  });

  it("names configs, experiments and sweeps that ship", async () => {
    const shipped = {
      fit: await shippedFiles("config"),
      eval: await shippedFiles("config"),
      reproduce: await shippedFiles("experiment"),
      sweep: await shippedFiles("sweep"),
    };
    const named = commands().flatMap(({ page, line, words: [verb = "", name = ""] }) =>
      verb in shipped && /^(mini8|text8|clip|learning)/.test(name) ? [{ page, line, verb, name }] : [],
    );
    expect(named.length).toBeGreaterThan(3);
    for (const { page, line, verb, name } of named)
      expect([...shipped[verb as keyof typeof shipped].keys()], `${page}: ${line}`).toContain(name);
  });

  it("of npm are scripts of package.json", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const run = [...TEXTS].flatMap(([page, text]) =>
      [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, script = ""]) => [page, script] as const),
    );
    expect(run.length).toBeGreaterThan(10);
    for (const [page, script] of run) expect(Object.keys(scripts), page).toContain(script);
  });
});

it("names every table in docs/experiments.md, and none that there is not", async () => {
  const text = TEXTS.get(join("docs", "experiments.md")) ?? "";
  const experiments = [...(await shippedFiles("experiment")).keys()];
  for (const name of experiments.filter((own) => !own.startsWith("clip")))
    expect(text, name).toMatch(new RegExp(`\`(${name}|-${name.split("-").at(-1)})\``));
});

it("docs/reference is what `npm run docs:reference` makes", async () => {
  for (const [name, made] of await referencePages())
    expect(TEXTS.get(join("docs", "reference", name)), `${name}: run npm run docs:reference`).toBe(made);
});

describe("troubleshooting", () => {
  const source = sourceText();
  const rows = (TEXTS.get(join("docs", "troubleshooting.md")) ?? "").split("\n").filter((line) => /^\| `/.test(line));
  const quoted = rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, words = ""]) => words),
  );

  it.each(quoted)("%s is in the source", (words) => {
    // Dots stand for names and numbers; what is between them is looked for piece by piece.
    const pieces = words.split(/\.\.\.|\bN\b|\[|\]/).map((piece) => piece.trim());
    for (const piece of pieces.filter(({ length }) => length > 3)) expect(source).toContain(piece);
  });
});

function sourceText(): string {
  const folder = join(ROOT, "src");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("\n");
}

it("README is short, and begins with what a newcomer types", () => {
  const lines = (TEXTS.get("README.md") ?? "").trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(150);
  const first = lines.filter((line) => line.startsWith("    npm")).slice(0, 2);
  expect(first.map((line) => line.trim().split("  ")[0])).toEqual([
    "npm ci && npm run quickstart",
    "npm ci && npm test",
  ]);
});
