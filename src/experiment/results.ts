/**
 * What is kept of one cell: accuracies, which examples were right, the curve of a fit, and what it cost. One compressed JSON file per
 * cell (`zcat` shows it): predictions of thousands of examples in hundreds of cells ship with the project.
 */
import path from "node:path";
import { gzipSync } from "node:zlib";
import { z } from "zod";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { readKept } from "./kept-file.js";

const resultSchema = z.object({
  key: z.string(),
  /** Percent by task. */
  tasks: z.record(z.string(), z.number()),
  /** Mean entropy of the predictions by task, and expected calibration error in percent. (Older results lack what is optional.) */
  entropyNats: z.record(z.string(), z.number()).optional(),
  calibrationPercent: z.record(z.string(), z.number()).optional(),
  /** For each task one digit per example, 1 where the model was right. */
  hits: z.record(z.string(), z.string()),
  /** Predicted class of every example, by task. */
  predictions: z.record(z.string(), z.array(z.int())),
  /** Evaluations along a fit. */
  curve: z.array(z.object({ step: z.int(), average: z.number(), tasks: z.record(z.string(), z.number()) })).optional(),
  /** What was judged, "images" if absent. */
  examples: z.string().optional(),
  /** Unlabelled examples shown to the objective, counted as often as they were shown. */
  imagesPresented: z.number(),
  /** How many of them are different. */
  imagesUnique: z.number().optional(),
  /** Stored beside one model. */
  extraBytes: z.number().optional(),
  seconds: z.number(),
});

export type CellResult = z.output<typeof resultSchema>;

const fileOf = (directory: string, key: string): string => path.join(directory, `${key}.json.gz`);

/** The result kept under `key`, or undefined when there is none or it is damaged, which `log` is told: it is computed again. */
export async function readResult(
  directory: string,
  key: string,
  log: (line: string) => void,
): Promise<CellResult | undefined> {
  return readKept(fileOf(directory, key), { what: "the result of a cell", schema: resultSchema }, log);
}

export async function writeResult(directory: string, result: CellResult): Promise<void> {
  await writeFileAtomic(fileOf(directory, result.key), gzipSync(`${JSON.stringify(result)}\n`, { level: 9 }));
}
