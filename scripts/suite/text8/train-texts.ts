/**
 * The training texts of a task, which do not ship: WORK_DIR/texts/<task>/train.jsonl, one {"text", "label"} a line in
 * the order drawn.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import type { LabelledText } from "./labelled-text.js";

const lineSchema = z.strictObject({ text: z.string().min(1), label: z.number().int().nonnegative() });

const pathOf = (workDir: string, task: string): string => join(workDir, "texts", task, "train.jsonl");

/** Reads what makeTexts wrote. */
export async function readTrainTexts(workDir: string, task: string): Promise<LabelledText[]> {
  const lines = (await readFile(pathOf(workDir, task), "utf8")).trimEnd().split("\n");
  return lines.map((line) => lineSchema.parse(JSON.parse(line)));
}

/** Writes them and returns the file's content. */
export async function writeTrainTexts(workDir: string, task: string, texts: readonly LabelledText[]): Promise<string> {
  const content = texts.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`).join("");
  await writeFileAtomic(pathOf(workDir, task), content);
  return content;
}
