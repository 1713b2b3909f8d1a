/**
 * The training texts of a task, which do not ship: WORK_DIR/texts/<task>/train.jsonl, one {"text", "label"} a line in
 * the order drawn.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";

export interface LabelledText {
  readonly text: string;
  readonly label: number;
}

const lineSchema = z.strictObject({ text: z.string().min(1), label: z.number().int().nonnegative() });

const pathOf = (workDir: string, task: string): string => join(workDir, "texts", task, "train.jsonl");

/** Reads what makeTexts wrote. */
export async function readTrainTexts(workDir: string, task: string): Promise<LabelledText[]> {
  const lines = (await readFile(pathOf(workDir, task), "utf8")).trimEnd().split("\n");
  return lines.map((line) => lineSchema.parse(JSON.parse(line)));
}

export async function writeTrainTexts(workDir: string, task: string, texts: readonly LabelledText[]): Promise<void> {
  const lines = texts.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`);
  await writeFileAtomic(pathOf(workDir, task), lines.join(""));
}
