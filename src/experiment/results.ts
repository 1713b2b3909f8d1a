/** What is kept of one cell: accuracies, which images were right, the curve of a fit, and what it cost. One JSON file per cell. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../runtime/atomic-file.js";

const resultSchema = z.object({
  key: z.string(),
  /** Percent by task. */
  tasks: z.record(z.string(), z.number()),
  /** Mean entropy of the predictions by task, and expected calibration error in percent. (Older results lack what is optional.) */
  entropyNats: z.record(z.string(), z.number()).optional(),
  calibrationPercent: z.record(z.string(), z.number()).optional(),
  /** For each task one digit per image, 1 where the model was right. */
  hits: z.record(z.string(), z.string()),
  /** Predicted class of every image, by task. */
  predictions: z.record(z.string(), z.array(z.int())),
  /** Evaluations along a fit. */
  curve: z.array(z.object({ step: z.int(), average: z.number(), tasks: z.record(z.string(), z.number()) })).optional(),
  /** Unlabelled images shown to the objective, counted as often as they were shown. */
  imagesPresented: z.number(),
  /** How many of them are different images. */
  imagesUnique: z.number().optional(),
  /** Stored beside one model. */
  extraBytes: z.number().optional(),
  seconds: z.number(),
});

export type CellResult = z.output<typeof resultSchema>;

const fileOf = (directory: string, key: string): string => path.join(directory, `${key}.json`);

/** The result kept under `key`, or undefined when there is none or it cannot be read. */
export async function readResult(directory: string, key: string): Promise<CellResult | undefined> {
  const text = await readFile(fileOf(directory, key), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const parsed = resultSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export async function writeResult(directory: string, result: CellResult): Promise<void> {
  await writeFileAtomic(fileOf(directory, result.key), `${JSON.stringify(result)}\n`);
}
