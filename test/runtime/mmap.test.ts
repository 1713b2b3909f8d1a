import { mkdtemp, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.js";
import { canMapFiles, mapFile } from "../../src/runtime/mmap.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mmap-"));
  await writeFile(join(folder, "floats"), new Uint8Array(Float32Array.from({ length: 5000 }, (_, i) => i).buffer));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

describe.skipIf(!canMapFiles())("mapFile", () => {
  it("shows the whole file, and closes twice", () => {
    const mapped = mapFile(join(folder, "floats"));
    expect(mapped.buffer).toBeInstanceOf(ArrayBuffer);
    expect(mapped.buffer.byteLength).toBe(20_000);
    expect([...new Float32Array(mapped.buffer, 4 * 4997)]).toEqual([4997, 4998, 4999]);
    mapped.close();
    mapped.close();
  });

  it("maps an empty file", async () => {
    await writeFile(join(folder, "empty"), "");
    const mapped = mapFile(join(folder, "empty"));
    expect(mapped.buffer.byteLength).toBe(0);
    mapped.close();
  });

  it("a file that is cut or written to while it is mapped is told before it is read; a replaced one stays", async () => {
    const path = join(folder, "used");
    const bytes = new Uint8Array(20_000).fill(7);
    const fresh = async () => {
      await rm(path, { force: true });
      await writeFile(path, bytes);
      return mapFile(path);
    };
    const replaced = await fresh();
    await writeFile(join(folder, "other"), "short");
    await rename(join(folder, "other"), path);
    replaced.check();
    expect(new Uint8Array(replaced.buffer)[19_999]).toBe(7);
    replaced.close();

    const cut = await fresh();
    await truncate(path, 100);
    expect(() => cut.check()).toThrow(
      /used: expected the 20000 bytes that were mapped, found that it has 100: another/,
    );
    cut.close();

    const written = await fresh();
    await utimes(path, 1, 1);
    expect(() => written.check()).toThrow(/found that it was written to/);
    written.close();
  });

  it("names what cannot be mapped", () => {
    expect(() => mapFile(folder)).toThrow(/expected a regular file to map/);
    expect(() => mapFile(join(folder, "none"))).toThrow(UserError);
    expect(() => mapFile(join(folder, "none"))).toThrow(/could not be mapped \(ENOENT/);
  });

  it("works in a worker thread while the main thread has its own mapping", async () => {
    const mapped = mapFile(join(folder, "floats"));
    // tsx does not reach worker threads by itself, so this one registers it before it imports TypeScript.
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      import("tsx/esm/api").then(async ({ register }) => {
        register();
        const { mapFile } = await import(workerData.module);
        const mapped = mapFile(workerData.path);
        parentPort.postMessage(new Float32Array(mapped.buffer)[42]);
        mapped.close();
      });`;
    const module = new URL("../../src/runtime/mmap.ts", import.meta.url).href;
    const worker = new Worker(code, { eval: true, workerData: { module, path: join(folder, "floats") } });
    const found: unknown = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    expect(found).toBe(42);
    await worker.terminate();
    expect(new Float32Array(mapped.buffer)[43]).toBe(43);
    mapped.close();
  });
});
