/** Runs the built command line as a person does, in a folder of its own. */
import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
export const MAIN = join(ROOT, "dist", "cli", "main.js");

export interface CliResult {
  readonly code: number | null;
  /** The signal that ended it, if one did; shells report that as 128 + its number. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  /** Resolves when stderr contains `text`. */
  stderrHas(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly result: Promise<CliResult>;
}

export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "adamerge test "));
}

/** Starts `adamerge <args>` in `cwd`, with the cache in `cwd` too. */
export function startCli(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...process.env, ADAMERGE_CACHE: join(cwd, "cache"), NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  const waiting: { text: string; resolve: () => void }[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    for (const { text, resolve } of waiting) if (stderr.includes(text)) resolve();
  });
  const result = new Promise<CliResult>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    result,
    kill: (signal) => child.kill(signal),
    stderrHas: (text) =>
      new Promise((resolve, reject) => {
        if (stderr.includes(text)) return resolve();
        waiting.push({ text, resolve });
        void result.then(() => reject(new Error(`ended before printing ${text}:\n${stderr}`)));
      }),
  };
}

/** Runs `adamerge <args>` to its end. */
export function runCli(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return startCli(cwd, args, env).result;
}
