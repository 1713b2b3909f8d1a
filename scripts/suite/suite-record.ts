/**
 * What is known of every finished part of a suite: settings, seconds, loss, SHA-256 of the weights. Kept beside the work while the suite is
 * made and shipped as record.json. A part whose settings changed is not silently kept.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { writeFileAtomic } from "../../src/runtime/atomic-file.js";

const partSchema = z.object({
  settings: z.record(z.string(), z.unknown()),
  seconds: z.number(),
  /** Smoothed training loss at the end, in nats. */
  loss: z.number(),
  sha256: z.string(),
});
export type PartRecord = z.infer<typeof partSchema>;
const recordSchema = z.record(z.string(), partSchema);

export class SuiteRecord {
  readonly #path: string;
  readonly #parts: Record<string, PartRecord>;

  private constructor(path: string, parts: Record<string, PartRecord>) {
    this.#path = path;
    this.#parts = parts;
  }

  static async open(path: string): Promise<SuiteRecord> {
    return new SuiteRecord(path, existsSync(path) ? recordSchema.parse(JSON.parse(await readFile(path, "utf8"))) : {});
  }

  get parts(): Readonly<Record<string, PartRecord>> {
    return this.#parts;
  }

  /**
   * Whether the checkpoint in `directory` is there, made with these settings. Throws when it was made with others, since
   * what depends on it would not fit.
   */
  has(part: string, directory: string, settings: object): boolean {
    if (!existsSync(join(directory, "model.safetensors"))) return false;
    const known = this.#parts[part];
    if (known === undefined) throw new Error(`${directory}: not made by this script; delete it to make it again`);
    if (!isDeepStrictEqual(known.settings, JSON.parse(JSON.stringify(settings))))
      throw new Error(`${directory}: made with other settings; delete it, and what was made from it, to make it again`);
    return true;
  }

  async add(
    part: string,
    directory: string,
    entry: { settings: object; seconds: number; loss: number },
  ): Promise<void> {
    const sha256 = createHash("sha256")
      .update(await readFile(join(directory, "model.safetensors")))
      .digest("hex");
    const settings = { ...entry.settings };
    this.#parts[part] = { settings, seconds: Math.round(entry.seconds), loss: Number(entry.loss.toFixed(4)), sha256 };
    await writeFileAtomic(this.#path, `${JSON.stringify(this.#parts, undefined, 2)}\n`);
  }
}
