/** A thread that does not end is ended; what it throws arrives; the next request finds a new one. Runs the built library. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../../src/errors.js";
import { OverrunError, watchedThread } from "../../src/runtime/watched-thread.js";

const folder = mkdtempSync(join(tmpdir(), "adamerge-thread-"));
afterAll(() => rmSync(folder, { recursive: true }));
const built = (name: string) => pathToFileURL(join(import.meta.dirname, "..", "..", "dist", name)).href;
const script = join(folder, "thread.mjs");
writeFileSync(
  script,
  `import { answerRequests } from "${built("runtime/watched-thread.js")}";
import { DataError } from "${built("errors.js")}";
let count = 0;
answerRequests(async (request) => {
  if (request === "loop") for (;;);
  if (request === "fill") for (const kept = []; ; ) kept.push(new Array(1000).fill(kept.length));
  if (request === "sleep") await new Promise((resolve) => setTimeout(resolve, 1500));
  if (request === "user") throw new DataError("the file");
  if (request === "bug") throw new TypeError("ours");
  if (request === "exit") process.exit(3);
  if (request instanceof Uint8Array) return { answer: request, moved: [request.buffer] };
  return { answer: ++count };
});
`,
);
const thread = () => watchedThread<unknown, unknown>(pathToFileURL(script), 64);

test("work without end is ended, requests behind it are answered by a new thread", async () => {
  const { ask } = thread();
  expect(await ask("count", 5000)).toBe(1);
  const loop = ask("loop", 300);
  const next = ask("count", 5000);
  await expect(loop).rejects.toThrow(OverrunError);
  await expect(loop).rejects.toThrow("no end after 0 s of work");
  expect(await next).toBe(1);
  expect(await ask("count", 5000)).toBe(2);
});

test("memory without end is ended", async () => {
  await expect(thread().ask("fill", 60_000)).rejects.toThrow(new OverrunError("more memory than it may take"));
});

test("waiting is no work", async () => {
  expect(await thread().ask("sleep", 1000)).toBe(1);
});

test("what is thrown arrives, users' mistakes with their class, and the thread goes on", async () => {
  const { ask } = thread();
  await ask("count", 5000);
  await expect(ask("user", 5000)).rejects.toThrow(new DataError("the file"));
  await expect(ask("user", 5000)).rejects.toBeInstanceOf(DataError);
  await expect(ask("bug", 5000)).rejects.toThrow("ours");
  expect(await ask("count", 5000)).toBe(2);
  await expect(ask("exit", 5000)).rejects.toThrow("a worker thread stopped (exit code 3)");
  expect(await ask("count", 5000)).toBe(1);
});

test("buffers move", async () => {
  expect(await thread().ask(new Uint8Array([1, 2]), 5000)).toEqual(new Uint8Array([1, 2]));
});
