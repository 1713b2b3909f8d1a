/**
 * Every failure of an engine, at every moment of its life, reaches whoever waits, and the process goes on: many rounds in processes of their
 * own, since a wrong end takes the process with it now and then only (see engine-failures.mjs). More rounds are in full/failing-starts.test.ts.
 */
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { startSessionThread } from "../../src/engine/onnx/session-thread.js";
import { ConfigError, InternalError, NumericError } from "../../src/errors.js";
import { together } from "../../src/runtime/together.js";
import { temporaryFolder } from "../support/cli.js";
import { endings } from "../support/engine-failures.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

describe("an engine", () => {
  it.each([
    ["abandoned", "Error: an image does not decode"],
    [
      "closed under a run",
      expect.stringMatching(/^Error: the run gave 1000 values, a later one .*the engine is closed/),
    ],
  ])("%s: says what failed, and its process goes on", async (scenario, ending) => {
    expect(await endings(scenario, 2)).toEqual({ code: 0, stderr: "", lines: [ending, ending] });
  });
});

describe("a session's thread", () => {
  /** A thread of a script, called twice; what both calls came to. */
  async function ending(script: string): Promise<readonly unknown[]> {
    const file = join(folder, `${randomUUID()}.mjs`);
    await writeFile(file, script);
    const thread = startSessionThread(pathToFileURL(file));
    const call = () => thread.send({ kind: "release", session: 1 }).catch((error: unknown) => error);
    const ends = [await call(), await call()];
    await Promise.all([thread.close(), thread.close()]);
    return [...ends, await call()];
  }
  const started = 'import { parentPort } from "node:worker_threads"; parentPort.postMessage({ kind: "ready" });';

  it.each([
    [
      "throws while it is loaded",
      'throw new Error("no native library");',
      ConfigError,
      /no native library.*engine=tfjs/s,
    ],
    ["leaves while it is loaded", "process.exit(7);", ConfigError, /cannot \(it ended with exit code 7\)/],
    ["imports what is not there", 'import "./none.mjs";', ConfigError, /Cannot find module.*install adamerge again/s],
    [
      "leaves in a call",
      `${started} parentPort.on("message", () => process.exit(9));`,
      NumericError,
      /worker thread died: it ended with exit code 9/,
    ],
    [
      "throws in a call",
      `${started} parentPort.on("message", () => { throw new Error("torn"); });`,
      NumericError,
      /worker thread died: torn/,
    ],
    [
      "runs out of memory",
      `${started} parentPort.on("message", () => { throw Object.assign(new Error("heap"), { code: "ERR_WORKER_OUT_OF_MEMORY" }); });`,
      NumericError,
      /ran out of memory; set memory_gb/,
    ],
  ])("that %s fails every call with the first reason", async (_name, script, type, message) => {
    const [first, second, closed] = await ending(script);
    expect(first).toBeInstanceOf(type);
    expect(first).toMatchObject({ message: expect.stringMatching(message) });
    expect(second).toBe(first);
    expect(closed).toBe(first);
  });

  it("whose script is missing fails the first call", async () => {
    const thread = startSessionThread(pathToFileURL(join(folder, "nothing.mjs")));
    const call = thread.send({ kind: "finish" });
    await expect(call).rejects.toThrow(/engine=onnx: expected its worker thread to start.*nothing\.mjs/s);
    await thread.close();
  });

  it("says after its end that it is closed, which is a mistake of ours", async () => {
    const script = join(folder, "idle.mjs");
    await writeFile(
      script,
      `${started} parentPort.on("message", ({ id }) => parentPort.postMessage({ kind: "done", id, outputs: new Map() }));`,
    );
    const thread = startSessionThread(pathToFileURL(script));
    await thread.close();
    await expect(thread.send({ kind: "finish" })).rejects.toThrow(InternalError);
  });
});

describe("works together", () => {
  it("end before the first error is thrown", async () => {
    const order: string[] = [];
    const failing = async () => {
      order.push("failed");
      throw new Error("first");
    };
    const other = async (stop: AbortSignal) => {
      await new Promise((resolve) => stop.addEventListener("abort", resolve));
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push("stopped");
      throw new Error("second");
    };
    await expect(together([other, failing])).rejects.toThrow("first");
    expect(order).toEqual(["failed", "stopped"]);
  });

  it("give their results in order, and hear the signal", async () => {
    const abort = new AbortController();
    const heard = (stop: AbortSignal) =>
      new Promise((resolve) => stop.addEventListener("abort", () => resolve("heard")));
    const results = together([heard, async () => abort.abort() ?? 2], abort.signal);
    expect(await results).toEqual(["heard", 2]);
  });
});
