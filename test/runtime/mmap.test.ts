import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, UserError } from "../../src/errors.js";
import { canMapFiles, type MappedFile, mapFile } from "../../src/runtime/mmap.js";
import { canLease } from "../support/leases.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mmap-"));
  await writeFile(join(folder, "floats"), new Uint8Array(Float32Array.from({ length: 5000 }, (_, i) => i).buffer));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const SIZE = 5_000_000;
/** A new file of sevens. */
async function sevens(name: string): Promise<string> {
  const path = join(folder, name);
  await rm(path, { force: true });
  await writeFile(path, new Uint8Array(SIZE).fill(7));
  return path;
}
const total = ({ view }: MappedFile): number => new Uint8Array(view(0, SIZE)).reduce((sum, byte) => sum + byte, 0);

describe.skipIf(!canMapFiles())("mapFile", () => {
  it("shows any part of the file and nothing beyond, and closes twice", async () => {
    const mapped = await mapFile(join(folder, "floats"));
    expect(mapped.pages.sizeBytes).toBe(20_000);
    expect(mapped.view(0, 20_000)).toBeInstanceOf(ArrayBuffer);
    expect([...new Float32Array(mapped.view(4 * 4997, 12))]).toEqual([4997, 4998, 4999]);
    expect(() => mapped.view(19_999, 2)).toThrow(RangeError);
    expect(() => mapped.view(-1, 2)).toThrow(RangeError);
    mapped.check();
    mapped.close();
    mapped.close();
  });

  it("maps an empty file", async () => {
    await writeFile(join(folder, "empty"), "");
    const mapped = await mapFile(join(folder, "empty"));
    expect(mapped.view(0, 0).byteLength).toBe(0);
    mapped.close();
  });

  it.skipIf(!canLease)("shows the end of a file that is larger than Node's buffers", async () => {
    const path = join(folder, "large");
    const file = await open(path, "w");
    const size = 5 * 2 ** 30;
    await file.truncate(size);
    await file.write(Float32Array.of(5), 0, 4, size - 4);
    await file.close();
    const mapped = await mapFile(path);
    expect(new Float32Array(mapped.view(size - 8, 8))).toEqual(Float32Array.of(0, 5));
    mapped.close();
    await rm(path);
  });

  it("names what cannot be mapped", async () => {
    await expect(mapFile(folder)).rejects.toThrow(/expected a regular file to map/);
    await expect(mapFile(join(folder, "none"))).rejects.toThrow(UserError);
    await expect(mapFile(join(folder, "none"))).rejects.toThrow(/could not be mapped \(ENOENT/);
  });

  it("a worker thread looks at the pages that the main thread mapped", async () => {
    const mapped = await mapFile(join(folder, "floats"));
    // tsx does not reach worker threads by itself, so this one registers it before it imports TypeScript.
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      import("tsx/esm/api").then(async ({ register }) => {
        register();
        const { viewPages } = await import(workerData.module);
        parentPort.postMessage(new Float32Array(viewPages(workerData.pages, 0, 20000))[42]);
      });`;
    const module = new URL("../../src/runtime/mmap.ts", import.meta.url).href;
    const worker = new Worker(code, { eval: true, workerData: { module, pages: mapped.pages } });
    const found: unknown = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    expect(found).toBe(42);
    await worker.terminate();
    expect(new Float32Array(mapped.view(0, 20_000))[43]).toBe(43);
    mapped.close();
  });
});

describe.skipIf(!canMapFiles())("a file that others change while it is mapped", () => {
  it("stays as it was when it is replaced or deleted", async () => {
    for (const change of [async (path: string) => rename(await sevens("other"), path), (path: string) => rm(path)]) {
      const path = await sevens("used");
      const mapped = await mapFile(path);
      await change(path);
      await new Promise((resolve) => setTimeout(resolve, 600));
      mapped.check();
      expect(total(mapped)).toBe(7 * SIZE);
      mapped.close();
    }
  });

  it.skipIf(!canLease).each([
    ["cut", (path: string) => truncate(path, 100)],
    ["written to", (path: string) => writeFile(path, "short")],
    ["appended to", (path: string) => open(path, "a").then((file) => file.close())],
  ])("makes others wait, then becomes zeros: %s", async (_, change) => {
    const path = await sevens("used");
    const mapped = await mapFile(path);
    mapped.check();
    await change(path);
    // The change is done, and the pages of the file are gone; they can be read, and nobody takes them for the file's.
    expect(total(mapped)).toBe(0);
    expect(() => mapped.check()).toThrow(CheckpointError);
    expect(() => mapped.check()).toThrow(/used: expected nobody to write to this file while it is in use, found/);
    mapped.close();
  });

  it.skipIf(!canLease)("is given up by check() before the next poll, so that nothing is computed from it", async () => {
    const path = await sevens("used");
    const mapped = await mapFile(path);
    const writing = truncate(path, 0);
    const until = performance.now() + 200;
    // No poll in here: this loop does not return to the event loop.
    let isRefused = false;
    while (!isRefused && performance.now() < until) {
      try {
        mapped.check();
        expect(total(mapped)).toBe(7 * SIZE);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        isRefused = true;
      }
    }
    expect(isRefused).toBe(true);
    await writing;
    mapped.close();
  });

  it.skipIf(process.platform !== "linux")(
    "is mapped from a private copy when there is no lease, and nothing of it is left",
    async () => {
      const path = await sevens("used");
      // Nobody gets a lease on a file that is open for writing.
      const writer = await open(path, "r+");
      const mapped = await mapFile(path);
      expect(readFileSync("/proc/self/maps", "utf8")).toMatch(/\.used\.\w+\.tmp \(deleted\)/);
      expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
      await writer.truncate(100);
      await writer.close();
      expect(total(mapped)).toBe(7 * SIZE);
      mapped.check();
      mapped.close();
      expect(readFileSync("/proc/self/maps", "utf8")).not.toMatch(/used/);
      expect((await stat(path)).size).toBe(100);
    },
  );
});

describe.skipIf(!canLease)("a process that reads without a pause", () => {
  /** Reads all bytes again and again on a worker thread that never waits, as a step does, and checks between the rounds. */
  const READER = `
    import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
    const { mapFile, viewPages } = await import(process.env.MODULE);
    if (isMainThread) {
      const mapped = await mapFile(process.env.FILE);
      const worker = new Worker(new URL(import.meta.url), { workerData: mapped.pages });
      let rounds = 0;
      for (;;) {
        worker.postMessage("round");
        const sum = await new Promise((resolve) => worker.once("message", resolve));
        try { mapped.check(); } catch (error) { console.log("refused " + error.message); process.exit(3); }
        if (sum !== ${7 * SIZE} * 20) { console.log("wrong sum " + sum); process.exit(4); }
        rounds += 1;
        if (rounds === 1) console.log("reading");
        if (rounds > 40) { console.log("went on"); process.exit(0); }
      }
    } else {
      const bytes = new Uint8Array(viewPages(workerData, 0, workerData.sizeBytes));
      parentPort.on("message", () => {
        let sum = 0;
        for (let round = 0; round < 20; round++) for (let at = 0; at < bytes.length; at++) sum += bytes[at];
        parentPort.postMessage(sum);
      });
    }`;

  it.each([
    ["is cut", (path: string) => truncate(path, 0), 3, /refused .*used: expected nobody to write/],
    ["is written to", (path: string) => writeFile(path, new Uint8Array(SIZE)), 3, /refused .*used: expected nobody/],
    ["is replaced", async (path: string) => rename(await sevens("other"), path), 0, /went on/],
    ["is deleted", (path: string) => rm(path), 0, /went on/],
  ])("is not killed when its file %s", async (_, change, code, output) => {
    const path = await sevens("used");
    const script = join(folder, "reader.mjs");
    await writeFile(script, READER);
    const MODULE = new URL("../../dist/runtime/mmap.js", import.meta.url).href;
    const child = spawn(process.execPath, [script], { env: { ...process.env, MODULE, FILE: path } });
    let text = "";
    const isReading = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes("reading")) resolve();
      });
    });
    const ended = new Promise<[number | null, string | null]>((resolve) => {
      child.on("close", (exit, signal) => resolve([exit, signal]));
    });
    await Promise.race([isReading, ended]);
    await change(path);
    expect([...(await ended), text]).toEqual([code, null, expect.stringMatching(output)]);
  });

  it("is killed without the guard: the test sees what it is for", async () => {
    const path = await sevens("used");
    const script = join(folder, "reader.mjs");
    await writeFile(script, READER);
    const built = await readFile(new URL("../../dist/runtime/mmap.js", import.meta.url), "utf8");
    expect(built).toContain("leases.isHeld(fd)");
    const unguarded = built
      .replace("leases.isHeld(fd)", "true")
      .replace("leases?.take(opened.fd)", "true")
      .replaceAll(
        /"(\.\.?\/[\w./-]+)"/g,
        (_, name) => `"${new URL(name, new URL("../../dist/runtime/", import.meta.url)).href}"`,
      );
    await writeFile(join(folder, "unguarded.mjs"), unguarded);
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, MODULE: join(folder, "unguarded.mjs"), FILE: path },
    });
    await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    const ended = new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)));
    await truncate(path, 0);
    expect(await ended).toBe("SIGBUS");
  });
});
