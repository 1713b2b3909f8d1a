/**
 * What is known of every finished part of a suite: settings, seconds, loss, SHA-256 of the weights. Kept beside the work while the suite is
 * made and shipped as record.json. A part whose settings changed is not silently kept.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { writeFileAtomic } from "../../src/runtime/atomic-file.js";

const partSchema = z.object({
  settings: z.record(z.string(), z.unknown()),
  seconds: z.number(),
  /** Smoothed training loss at the end, in nats. */
  loss: z.number().optional(),
  /** Of what was truncated: norm of what is missed over that of the task vector. */
  error: z.number().optional(),
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
   * Whether the part's file `weights` is there, made with these settings. Throws when it was made with others, since
   * what depends on it would not fit.
   */
  has(part: string, weights: string, settings: object): boolean {
    if (!existsSync(weights)) return false;
    if (this.knows(part, settings)) return true;
    const advice = `${dirname(weights)}: not made by this script, or with other settings`;
    throw new Error(`${advice}; delete it, and what was made from it, to make it again`);
  }

  /** Whether the part was made with these settings, here or elsewhere. */
  knows(part: string, settings: object): boolean {
    return isDeepStrictEqual(this.#parts[part]?.settings, JSON.parse(JSON.stringify(settings)));
  }

  async add(
    part: string,
    weights: string,
    entry: { settings: object; seconds: number; loss?: number; error?: number },
  ): Promise<void> {
    const sha256 = createHash("sha256")
      .update(await readFile(weights))
      .digest("hex");
    const rounded = (value: number | undefined) => (value === undefined ? undefined : Number(value.toFixed(4)));
    const [loss, error] = [rounded(entry.loss), rounded(entry.error)];
    this.#parts[part] = {
      settings: { ...entry.settings },
      seconds: Math.round(entry.seconds),
      ...(loss === undefined ? {} : { loss }),
      ...(error === undefined ? {} : { error }),
      sha256,
    };
    await writeFileAtomic(this.#path, `${JSON.stringify(this.#parts, undefined, 2)}\n`);
  }
}
