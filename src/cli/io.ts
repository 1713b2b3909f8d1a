/**
 * What the verbs need from the outside: streams, environment, working directory, signals and the library
 * behind the lazy import. main.ts gives the process's own; tests give theirs.
 */
import path from "node:path";
import type { RunConfig } from "../config/schema.js";
import type { TrainEvent } from "../optimize/events.js";
import type { DoctorReport, ResultRow, Summary } from "../report/summary.js";
import { type ConsoleStream, createConsole } from "../track/console.js";

/** What a model is evaluated as: a file of learned coefficients, or one of the methods without learning. */
export type EvaluationTarget =
  | { readonly kind: "coefficients"; readonly path: string }
  | { readonly kind: "pretrained" }
  | { readonly kind: "individual" }
  | { readonly kind: "weight_averaging" }
  | { readonly kind: "task_arithmetic"; readonly scale: number };

export interface WorkOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly overwrite: boolean;
  readonly onEvent: (event: TrainEvent) => void;
  readonly log: (line: string) => void;
}

/** The functions of src/run.ts that verbs call; it loads the engines, so it is imported when one runs. */
export interface Library {
  fit(
    config: RunConfig,
    options: WorkOptions,
  ): Promise<{ runPath: string; table: readonly ResultRow[]; reason: "finished" | "interrupted" }>;
  evaluateMethod(config: RunConfig, target: EvaluationTarget, options: WorkOptions): Promise<ResultRow>;
  mergeToDirectory(config: RunConfig, coefficientsPath: string, outputDir: string, options: WorkOptions): Promise<void>;
  quickstart(
    options: Omit<WorkOptions, "overwrite"> & {
      readonly configPath: string;
      readonly presetsDir: string;
      readonly cwd: string;
      readonly overrides: readonly string[];
      readonly output: string;
    },
  ): Promise<Summary>;
  describeEnvironment(options: {
    readonly cacheDir: string;
    readonly trackingUri: string | undefined;
    readonly fetch: typeof fetch;
  }): Promise<DoctorReport>;
}

export interface CliIo {
  readonly stdout: ConsoleStream;
  readonly stderr: ConsoleStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
  /** Folder of the installed package: holds configs/, datasets/ and package.json. */
  readonly packageRoot: string;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  readonly library: () => Promise<Library>;
}

/** `$ADAMERGE_CACHE`, else `$XDG_CACHE_HOME/adamerge`, else `~/.cache/adamerge`. */
export function cacheDirectory({ env, cwd, homeDir }: Pick<CliIo, "env" | "cwd" | "homeDir">): string {
  if (env.ADAMERGE_CACHE) return path.resolve(cwd, env.ADAMERGE_CACHE);
  // The XDG specification says to ignore a relative path.
  if (env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME)) return path.join(env.XDG_CACHE_HOME, "adamerge");
  return path.join(homeDir, ".cache", "adamerge");
}

/** Colours are off when NO_COLOR is set to anything but the empty text (no-color.org). */
export function wantsColor(env: CliIo["env"]): boolean {
  return !env.NO_COLOR;
}

/** Loads a config as the command line gives it. @throws ConfigError with every problem */
export async function loadCliConfig(file: string, overrides: readonly string[], io: CliIo) {
  const { loadRunConfig } = await import("../config/load.js");
  return loadRunConfig(file, overrides, { cwd: io.cwd, presetsDir: presetsDirectory(io) });
}

/** The presets that ship with the package. */
export function presetsDirectory({ packageRoot }: Pick<CliIo, "packageRoot">): string {
  return path.join(packageRoot, "configs", "presets");
}

/** The options every long verb passes on; progress goes to stderr unless `quiet`. */
export function workOptions(
  io: CliIo,
  choices: { readonly quiet: boolean; readonly overwrite?: boolean },
): WorkOptions {
  const view = createConsole({ stream: io.stderr, color: wantsColor(io.env) });
  return {
    cacheDir: cacheDirectory(io),
    signal: io.signal,
    overwrite: choices.overwrite ?? false,
    onEvent: choices.quiet ? () => {} : view.show,
    log: choices.quiet ? () => {} : view.log,
  };
}

/** Prints a result for machines. */
export function printJson(io: CliIo, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
