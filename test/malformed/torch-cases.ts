/** One file after another in a temporary folder, opened as a checkpoint. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { CheckpointError } from "../../src/errors.js";

export interface Cases {
  open(bytes: Uint8Array): Promise<Checkpoint>;
  /** A CheckpointError that names the file, soon and cheaply. */
  expectRefusal(bytes: Uint8Array, message: RegExp | string): Promise<void>;
}

/** Made and removed with the tests of the file that calls it. */
export function temporaryCases(): Cases {
  let folder = "";
  let path = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "torch-"));
    path = join(folder, "case.pt");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const open = async (bytes: Uint8Array): Promise<Checkpoint> => {
    await writeFile(path, bytes);
    return openCheckpoint(path);
  };
  return {
    open,
    expectRefusal: async (bytes, message) => {
      const [startMs, peakBytes] = [performance.now(), process.resourceUsage().maxRSS * 1024];
      const error = await open(bytes).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(CheckpointError);
      expect(String(error)).toMatch(message);
      expect(String(error)).toContain(path);
      // Seconds and gigabytes would be the fault; the bounds leave room for a busy machine.
      expect(performance.now() - startMs).toBeLessThan(10_000);
      expect(process.resourceUsage().maxRSS * 1024 - peakBytes).toBeLessThan(400e6);
    },
  };
}
