/**
 * Job arrays on a Slurm cluster: the batch script, submitting it, waiting for its end. Source: the manual pages of sbatch and squeue
 * (Slurm 21.08 and later).
 */
import { execFile } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { hasControls, type SlurmSettings } from "../config/slurm.js";
import { ConfigError, UserError } from "../errors.js";
import { quote } from "../runtime/printable.js";

export interface ArrayJob {
  readonly name: string;
  /** Where the output of the tasks goes; it exists. */
  readonly directory: string;
  /** Indices of the array's tasks. */
  readonly tasks: readonly number[];
  /** Most tasks at the same time. */
  readonly parallel: number;
  /** The command of a task; its index follows as the last argument. */
  readonly command: readonly string[];
  readonly settings: SlurmSettings;
}

const run = promisify(execFile);
/** Looks in a row that must miss a job. */
const LOOKS_WITHOUT_IT = 2;
/** What needs no quotes in a shell or a directive of sbatch. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** Throws ConfigError for names that a batch script cannot say: its directives are lines, and Slurm takes a path with a backslash literally. */
export function requireScriptable({ name, directory }: Pick<ArrayJob, "name" | "directory">): void {
  for (const [what, text] of [
    ["the sweep file's name", name],
    ["the output folder", directory],
  ] as const)
    if (hasControls(text))
      throw new ConfigError(
        `slurm: expected a name without line breaks and other control characters for ${what}, found ${quote(text)}. Rename it`,
      );
  if (directory.includes("\\"))
    throw new ConfigError(
      `slurm: expected an output folder without backslashes, with which Slurm numbers no logs, found ${quote(directory)}. Give another --output`,
    );
}

/** The script for sbatch. A requeued task runs the same command, which goes on where it was. */
export function arrayScript({ name, directory, tasks, parallel, command, settings }: ArrayJob): string {
  requireScriptable({ name, directory });
  const { partition, account, time, cpus, memory, gpus, options, setup } = settings;
  const optional = (option: string, value: string | undefined) =>
    value === undefined ? [] : [`--${option}=${directiveValue(value)}`];
  // What stands for a number in the name of a log is written twice where it is itself.
  const logs = `${directory.replaceAll("%", "%%")}/slurm-%A_%a.log`;
  const lines = [
    `--job-name=${directiveValue(name)}`,
    `--array=${ranges(tasks)}%${parallel}`,
    `--output=${directiveValue(logs)}`,
    "--open-mode=append",
    "--requeue",
    // Time to finish the step and write a checkpoint before the limit kills the task; --signal without B: reaches the step's processes.
    "--signal=TERM@60",
    `--cpus-per-task=${cpus}`,
    ...optional("partition", partition),
    ...optional("account", account),
    ...optional("time", time),
    ...optional("mem", memory),
    ...(gpus > 0 ? [`--gpus=${gpus}`] : []),
    ...options,
  ];
  return [
    "#!/bin/bash",
    ...lines.map((line) => `#SBATCH ${line}`),
    "set -e",
    ...setup,
    `exec srun ${command.map(quoted).join(" ")} "$SLURM_ARRAY_TASK_ID"`,
    "",
  ].join("\n");
}

/** Submits a script; returns the number of its job. @throws UserError when there is no Slurm, or it refuses */
export async function submit(scriptPath: string): Promise<string> {
  try {
    const { stdout } = await run("sbatch", ["--parsable", scriptPath]);
    const job = stdout.trim().split(";")[0] ?? "";
    if (/^\d+$/.test(job)) return job;
    throw new UserError(`expected the number of the job from sbatch, found ${quote(stdout)}`);
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    const reason = missing ? "sbatch is not on this machine" : errorText(cause);
    throw new UserError(
      `slurm: ${reason}. Submit from a login node, or use --launcher local; the script is ${scriptPath}`,
      { cause },
    );
  }
}

/**
 * Waits until no task of the job is queued or running. An abort stops the waiting, not the job. A job that the queue does not show once is
 * looked for again before it counts as over: one that is being requeued may be missing for a moment.
 */
export async function waitForJob(
  job: string,
  signal: AbortSignal,
  { pollMs, lookAgainMs } = { pollMs: 5000, lookAgainMs: 2000 },
): Promise<void> {
  let missed = 0;
  while (!signal.aborted && missed < LOOKS_WITHOUT_IT) {
    missed = (await isQueued(job)) ? 0 : missed + 1;
    if (missed < LOOKS_WITHOUT_IT)
      await setTimeout(missed === 0 ? pollMs : lookAgainMs, undefined, { signal }).catch(() => undefined);
  }
}

async function isQueued(job: string): Promise<boolean> {
  try {
    return (await run("squeue", ["--noheader", `--jobs=${job}`])).stdout.trim() !== "";
  } catch (error) {
    // A job that has been over for some minutes is not known any more.
    if (/Invalid job id/i.test(errorText(error))) return false;
    throw new UserError(`slurm: squeue: ${errorText(error)}; job ${job} goes on without this command`, {
      cause: error,
    });
  }
}

function errorText(error: unknown): string {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  return stderr || (error instanceof Error ? error.message : String(error));
}

/** `0-3,7`, as --array has it. */
function ranges(indices: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const index of [...indices].sort((a, b) => a - b)) {
    const open = parts.at(-1);
    if (open !== undefined && open[1] === index - 1) open[1] = index;
    else parts.push([index, index]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** For a POSIX shell: within single quotes everything is itself, line breaks too. */
function quoted(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** For a directive, where a backslash counts in quotes of both kinds and an unquoted # begins a comment. */
function directiveValue(text: string): string {
  return PLAIN.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}
