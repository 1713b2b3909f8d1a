/**
 * Faults at each file operation of writing a checkpoint: one operation fails (full disk, no permission), or the process dies
 * there (it and all later ones do nothing). Whatever happens, the newest checkpoint that can be read is the old one or the new one,
 * whole; and the next write succeeds.
 */
import type * as FileSystem from "node:fs/promises";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Checkpoint, readTrainCheckpoint, writeTrainCheckpoint } from "../../src/track/checkpoints.js";
import { temporaryFolder } from "../support/cli.js";

const faults = vi.hoisted(() => ({
  /** Called before every operation that changes the disk; throws to make it fail. */
  before: (_operation: string): void => {},
}));

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof FileSystem>();
  const faulty =
    <A extends unknown[], R>(name: string, operation: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      faults.before(name);
      return operation(...args);
    };
  return {
    ...real,
    writeFile: faulty("writeFile", real.writeFile),
    mkdir: faulty("mkdir", real.mkdir),
    rename: faulty("rename", real.rename),
    rm: faulty("rm", real.rm),
    rmdir: faulty("rmdir", real.rmdir),
    unlink: faulty("unlink", real.unlink),
    open: async (...args: Parameters<typeof real.open>) => {
      faults.before("open");
      const file = await real.open(...args);
      const sync = file.sync.bind(file);
      file.sync = faulty("sync", sync);
      return file;
    },
  };
});
afterEach(() => {
  faults.before = () => {};
});

const checkpoint = (step: number): Checkpoint => ({
  state: {
    step,
    rawKL: Float64Array.of(step, 0.1 * step),
    adam: { updates: step, mean: Float64Array.of(-step, 1), meanSquare: Float64Array.of(step * step, 2) },
    evaluatedStep: 0,
  },
  inputs: { config: "abc" },
});

const failure = (code: string): Error => Object.assign(new Error(`${code}: made by the test`), { code });

/** Lets operation number `index` (from 0) fail; with `dies`, all after it too. Counts the operations. */
function failAt(index: number, code: string, dies: boolean): { count: number; names: string[] } {
  const seen = { count: 0, names: [] as string[] };
  faults.before = (name) => {
    const at = seen.count++;
    seen.names.push(name);
    if (at === index || (dies && at > index)) throw failure(code);
  };
  return seen;
}

describe.each([
  ["ENOSPC", false],
  ["EACCES", false],
  ["EIO", true],
] as const)("%s, process dies: %s", (code, dies) => {
  it.each([
    ["a new step", 3],
    // A resumed run may come to a step again whose checkpoint it had found damaged.
    ["a step that is there", 2],
  ])("writing %s", async (_what, step) => {
    const folder = join(await temporaryFolder(), "checkpoints");
    await writeTrainCheckpoint(folder, checkpoint(1));
    await writeTrainCheckpoint(folder, checkpoint(2));
    const seen = failAt(-1, code, false);
    await writeTrainCheckpoint(folder, checkpoint(step));
    const operations = seen.count;
    const removals = step === 2 ? ["unlink", "rmdir"] : ["rm"];
    expect(new Set(seen.names)).toEqual(new Set(["mkdir", "writeFile", "open", "sync", "rename", ...removals]));

    for (let index = 0; index < operations; index++) {
      const fresh = join(await temporaryFolder(), "checkpoints");
      faults.before = () => {};
      await writeTrainCheckpoint(fresh, checkpoint(1));
      await writeTrainCheckpoint(fresh, checkpoint(2));
      failAt(index, code, dies);
      const failed = await writeTrainCheckpoint(fresh, checkpoint(step)).then(
        () => undefined,
        (error: unknown) => error,
      );
      faults.before = () => {};
      const where = `operation ${index} (${seen.names[index]})`;
      const lines: string[] = [];
      const found = await readTrainCheckpoint(fresh, (line) => lines.push(line));
      // Overwriting step 2 moves it aside first: dying just there leaves step 1, which is why two are kept.
      const allowed = step === 2 ? [checkpoint(1), checkpoint(2)] : [checkpoint(2), checkpoint(3)];
      expect(allowed, where).toContainEqual(found);
      expect(lines, where).toEqual([]);
      if (failed !== undefined && !dies) expect(String(failed), where).toMatch(/could not be written|made by the test/);
      await writeTrainCheckpoint(fresh, checkpoint(4));
      expect(await readTrainCheckpoint(fresh, () => {}), where).toEqual(checkpoint(4));
      if (!dies && failed === undefined) expect((await readdir(fresh)).sort(), where).toHaveLength(2);
    }
  });
});
