/** What a sweep asks of a Slurm cluster for each of its trials. Source: the manual page of sbatch. */
import { z } from "zod";

/** Resources of one trial; what is not given is the cluster's default. */
export const slurmSchema = z.strictObject({
  partition: z.string().optional().describe("Partition (queue)"),
  account: z.string().optional().describe("Account that is charged"),
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
    .array(z.string().regex(/^--\S.*$/, "an option of sbatch, starting with --"))
    .default([])
    .describe("More options of sbatch"),
  setup: z.array(z.string()).default([]).describe("Shell lines before a trial, such as `module load nodejs`"),
});
export type SlurmSettings = z.output<typeof slurmSchema>;
