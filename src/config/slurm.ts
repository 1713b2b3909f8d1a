/** What a sweep asks of a Slurm cluster for each of its trials. Source: the manual page of sbatch. */
import { z } from "zod";

/** Control characters: a line break would begin a line of the script. */
const CONTROLS = /\p{Cc}/u;

/** A name that goes into one line of a script. */
const nameSchema = z.string().regex(/^\P{Cc}*$/u, "text without line breaks and other control characters");

/** Whether a text would break a line of a script, or hide in it. */
export function hasControls(text: string): boolean {
  return CONTROLS.test(text);
}

/**
 * Whether sbatch reads a line of options to its end: quotes are closed, and no unquoted # makes a comment of the rest. A backslash takes the next
 * character as it is, in quotes too (_get_argument of Slurm's sbatch/opt.c).
 */
function isWhole(line: string): boolean {
  const left = line.replace(/\\./gsu, "").replace(/"[^"]*"|'[^']*'/g, "");
  return !/["'#\\]/.test(left);
}

/** Resources of one trial; what is not given is the cluster's default. */
export const slurmSchema = z.strictObject({
  partition: nameSchema.optional().describe("Partition (queue)"),
  account: nameSchema.optional().describe("Account that is charged"),
  time: z
    .string()
    .regex(/^(\d+-)?\d+(:\d+){0,2}$/, "a time such as 30, 2:30:00 or 1-12:00:00")
    .optional()
    .describe("Limit of a trial: minutes, [hours:]minutes:seconds or days-hours"),
  cpus: z.int().min(1).default(1).describe("Cores of a trial, and threads of its engine"),
  memory: z
    .string()
    .regex(/^\d+[KMGT]?$/, "a size such as 8G")
    .optional()
    .describe("Memory of a trial"),
  gpus: z.int().min(0).default(0).describe("GPUs of a trial"),
  options: z
    .array(
      nameSchema
        .regex(/^--\S.*$/, "an option of sbatch, starting with --")
        .refine(isWhole, "quotes that are closed, and # within quotes only"),
    )
    .default([])
    .describe('More options of sbatch, quoted as in a batch script: --comment="two words"'),
  setup: z.array(z.string()).default([]).describe("Shell lines before a trial, such as `module load nodejs`"),
});
export type SlurmSettings = z.output<typeof slurmSchema>;
