/** Streams that cannot be written, on the built command: a log that is lost ends nothing, a result that is lost is never a success. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { showError } from "../../src/cli/show-error.js";
import { watchResults } from "../../src/cli/streams.js";
import { homeDirectory } from "../../src/library/surroundings.js";
import { MAIN, temporaryFolder } from "../support/cli.js";
import { writeTextSuite } from "../support/tiny-text-suite.js";

/** A stream that refuses every text with this error. */
const refusing = (code: string) =>
  new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })) });
const collecting = () => {
  const texts: string[] = [];
  return { texts, stream: { write: (text: string) => texts.push(text) } };
};

it.each([
  ["ENOSPC", 0, 2],
  ["EPIPE", 0, 141],
  ["ENOSPC", 130, 130],
  ["EPIPE", 3, 3],
])("stdout that refuses with %s after a command that ended with %d: %d", async (refusal, code, expected) => {
  const stdout = refusing(refusal);
  const results = watchResults(stdout);
  const { texts, stream } = collecting();
  stdout.write("the table\n");
  expect(await results.exitCode(code, stream)).toBe(expected);
  const message =
    "adamerge: stdout: expected to write the result there, found that it cannot be (ENOSPC: no). What to do: free space";
  if (refusal === "EPIPE") expect(texts).toEqual([]);
  else expect(texts.join("")).toContain(message);
});

it("stdout that takes everything keeps the command's code", async () => {
  const results = watchResults(new Writable({ write: (_chunk, _encoding, done) => setTimeout(done, 20) }));
  expect(await results.exitCode(0, collecting().stream)).toBe(0);
});

it("stdout that takes its time is waited for, until it refuses", async () => {
  const pending: ((error?: Error) => void)[] = [];
  const stdout = new Writable({ highWaterMark: 4, write: (_chunk, _encoding, done) => pending.push(done) });
  const results = watchResults(stdout);
  stdout.write("abc");
  await results.drained();
  stdout.write("more than it holds");
  let isDrained = false;
  const drained = results.drained().then(() => {
    isDrained = true;
  });
  pending.shift()?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect([isDrained, results.refused.aborted]).toEqual([false, false]);
  pending.shift()?.(new Error("EPIPE"));
  await drained;
  expect(results.refused.aborted).toBe(true);
});

const shell = (command: string) =>
  new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const child = spawn("bash", [
      "-c",
      `set -o pipefail; adamerge() { "${process.execPath}" "${MAIN}" "$@"; }; ${command}`,
    ]);
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => (stderr += text));
    child.on("close", (code) => resolve({ code, stderr }));
  });

it.runIf(process.platform === "linux").each([
  ["adamerge methods > /dev/full", 2, /^adamerge: stdout: expected to write the result there.*ENOSPC.*What to do/],
  ["adamerge config show --json-schema | true", 141, /^$/],
  ["adamerge fti 2> /dev/full", 2, /^$/],
  ["adamerge methods 2> /dev/full > /dev/null", 0, /^$/],
])("%s: %d", async (command, code, message) => {
  const found = await shell(command);
  expect(found.code, found.stderr).toBe(code);
  expect(found.stderr).toMatch(message);
});

it.runIf(process.platform === "linux")("predict ends with those who read it, long before its input does", async () => {
  const folder = await temporaryFolder();
  await writeTextSuite(folder);
  // Three minutes of work.
  await writeFile(join(folder, "rows.csv"), `text\n${"a b c\n".repeat(1_000_000)}`);
  const predict = `cd "${folder}"; adamerge predict models/thirds rows.csv --threads 1 --device cpu`;
  const started = performance.now();
  expect(await shell(`${predict} | head -2`)).toEqual({ code: 141, stderr: "" });
  expect((await shell(`${predict} > /dev/full`)).code).toBe(2);
  expect(performance.now() - started).toBeLessThan(60_000);
});

it("system errors that nobody explained are the user's, others a bug of ours", () => {
  const system = (code: string, syscall: string, path?: string) =>
    Object.assign(new Error(`${code}: because, ${syscall}${path === undefined ? "" : ` '${path}'`}`), {
      code,
      syscall,
      errno: -1,
      ...(path === undefined ? {} : { path }),
    });
  const shown = (error: unknown): [number, string] => {
    const { texts, stream } = collecting();
    return [showError(error, false, stream), texts.join("")];
  };
  expect(shown(system("EACCES", "mkdir", "/a/\u001b[2J"))).toEqual([
    2,
    "adamerge: /a/\\u001b[2J: could not be made (EACCES: because). What to do: check the permissions of the folder.\n",
  ]);
  expect(shown(system("EISDIR", "read"))[0]).toBe(3);
  expect(shown(system("EMFILE", "open", "/x"))[1]).toContain(
    "/x: could not be opened (EMFILE: because). What to do: too many",
  );
  expect(shown(system("ENOENT", "uv_cwd"))[1]).toContain("the working folder: expected one that exists");
  const nul = Object.assign(new TypeError("The argument 'path' must be without null bytes. Received 'a\\x00b'"), {
    code: "ERR_INVALID_ARG_VALUE",
  });
  expect(shown(nul)[1]).toContain("expected a path without NUL characters, found 'a\\\\x00b'");
  expect(shown(new RangeError("Array buffer allocation failed"))).toEqual([
    4,
    expect.stringContaining("not enough memory"),
  ]);
  expect(shown(new TypeError("x is not a function"))).toEqual([
    1,
    "adamerge: x is not a function\nThis is a bug in adamerge; please report it with what --debug adds.\n",
  ]);
  expect(shown("text")[0]).toBe(1);
});

it("a home is an absolute HOME, what the system knows, or the root", () => {
  const unknown = () => {
    throw new Error("no entry in passwd");
  };
  expect(homeDirectory({ HOME: "/home/ann" }, unknown)).toBe("/home/ann");
  expect(homeDirectory({ HOME: "" }, () => "/home/bob")).toBe("/home/bob");
  expect(homeDirectory({ HOME: "relative" }, () => "/home/bob")).toBe("/home/bob");
  expect(homeDirectory({}, unknown)).toBe("/");
});
