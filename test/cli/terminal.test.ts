/** What a terminal gets: a line that stays below what is written and goes away, foreign text that cannot move it, and help in groups. */
import { describe, expect, it } from "vitest";
import { runCli } from "../../src/cli/cli.js";
import { library } from "../../src/cli/library.js";
import { safeStreams } from "../../src/cli/safe-stream.js";
import { ROOT } from "../support/cli.js";

function terminal(columns: number, env: Record<string, string> = {}) {
  let text = "";
  const stream = {
    isTTY: true,
    columns,
    write: (part: string) => {
      text += part;
    },
  };
  return { io: { stdout: stream, stderr: stream, env }, text: () => text };
}

/** What is on the screen after these texts: lines that were rewritten are gone. */
function screenOf(text: string): string[] {
  const lines = [""];
  let [row, column] = [0, 0];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  for (const part of text.split(/(\u001b\[\??\d*[A-Za-z]|\r|\n)/)) {
    if (part === "\n") [row, column] = [row + 1, 0];
    else if (part === "\r" || part === "\u001b[G") column = 0;
    else if (part === "\u001b[2K") lines[row] = "";
    else if (part === "\u001b[K") lines[row] = (lines[row] ?? "").slice(0, column);
    else if (part.startsWith("\u001b[") && part.endsWith("A"))
      row = Math.max(0, row - (Number.parseInt(part.slice(2), 10) || 1));
    else if (!part.startsWith("\u001b")) {
      lines[row] = (lines[row] ?? "").slice(0, column).padEnd(column) + part;
      column += part.length;
    }
  }
  return lines.map((line) => line ?? "");
}

describe("the updating line", () => {
  it("stays below what is written to either stream, and goes away", () => {
    const { io, text } = terminal(80);
    const { stdout, stderr, endLive } = safeStreams(io);
    stderr.live?.("judging ties  10 %");
    stderr.write("a word\n");
    stdout.write("a result\n");
    stderr.live?.("judging ties  20 %");
    expect(screenOf(text()).filter((line) => line !== "")).toEqual(["a word", "a result", "judging ties  20 %"]);
    endLive();
    stderr.live?.("too late");
    expect(screenOf(text()).filter((line) => line !== "")).toEqual(["a word", "a result"]);
  });

  it("is not there for logs and for terminals that cannot rewrite", () => {
    const { io } = terminal(80);
    expect(safeStreams({ ...io, stderr: { write: () => {} } }).stderr.live).toBeUndefined();
    expect(safeStreams({ ...io, env: { TERM: "dumb" } }).stderr.live).toBeUndefined();
  });

  it("hides credentials, and takes no sequences from foreign text", () => {
    const { io, text } = terminal(80, { HF_TOKEN: "hf_abcdefghijklmnop" });
    safeStreams(io).stderr.live?.("judging \u001b[2Jx with hf_abcdefghijklmnop");
    expect(text()).not.toContain("\u001b[2J");
    expect(text()).not.toContain("hf_abcdefghijklmnop");
  });
});

describe("help", () => {
  const help = async (columns: number) => {
    const { io, text } = terminal(columns);
    const outer = { ...io, cwd: ROOT, packageRoot: ROOT, signal: new AbortController().signal, library };
    expect(await runCli(["--help"], outer)).toBe(0);
    return text().split("\n");
  };

  it("has every verb once, in groups", async () => {
    const lines = await help(120);
    const groups = ["Start:", "Learn coefficients:", "Merge and use models:", "Study and compare:", "This machine:"];
    expect(lines.filter((line) => groups.includes(line))).toEqual(groups);
    const page = lines.slice(lines.indexOf("Start:"), lines.indexOf("Options:"));
    const verbs = page.flatMap((line) => /^ {2}(\w+(?: show)?) {2,}\S/.exec(line)?.[1] ?? []);
    expect(verbs).toHaveLength(new Set(verbs).size);
    for (const verb of ["quickstart", "fit", "merge", "sweep", "config show", "completion"])
      expect(verbs).toContain(verb);
  });

  it.each([60, 80])("fits into %d columns", async (columns) => {
    for (const line of await help(columns)) expect(line.length).toBeLessThanOrEqual(columns);
  });
});
