/**
 * What the verbs need from the outside: streams, environment, working directory, signals and the library
 * behind the lazy import. main.ts gives the process's own; tests give theirs.
 */
import path from "node:path";
import type { Hub } from "../checkpoint/hub/request.js";
import { hubSettings } from "../checkpoint/hub/settings.js";
import type { LoadedConfig } from "../config/load.js";
import type { MergeFile } from "../config/merge-file.js";
import type { RunConfig } from "../config/schema.js";
import type { QuickstartResult } from "../library/quickstart.js";
import type { SyncOptions } from "../library/runs.js";
import { cacheDirectory } from "../library/surroundings.js";
import { trackingOf } from "../library/tracking-settings.js";
import type { WorkOptions as VerbOptions, WorkEvent } from "../library/work-options.js";
import type { TrainEvent } from "../optimize/events.js";
import type { DoctorReport, ResultRow } from "../report/summary.js";
import type { InitFindings, InitOptions, InitRequest } from "../run/init/init-suite.js";
import type { MergeModelsOptions, MergeResult } from "../run/merge-models/merge-models.js";
import type { FitPlan } from "../run/plan-fit.js";
import type { EvaluateModelOptions, LabelledInputs } from "../run/predict/evaluate-model.js";
import type { OpenPredictorOptions, Predictor } from "../run/predict/predict.js";
import type { Tracking } from "../run/tracking.js";
import { shownText } from "../runtime/printable.js";
import { createByteProgress } from "../track/byte-progress.js";
import { createConsole } from "../track/console.js";
import type { ConsoleStream } from "../track/terminal.js";

export { cacheDirectory, trackingOf };

/** What a model is evaluated as: a file of learned coefficients, or a method without learning. */
export type EvaluationTarget =
  | { readonly kind: "coefficients"; readonly path: string }
  | { readonly kind: "method"; readonly name: string; readonly settings: Readonly<Record<string, unknown>> };

export interface WorkOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly overwrite: boolean;
  readonly onEvent: (event: TrainEvent) => void;
  readonly log: (line: string) => void;
  /** For suites that name repositories on the hub. */
  readonly hub: Hub;
  /** The MLflow server that fits are delivered to; none when MLFLOW_TRACKING_URI is not set. */
  readonly tracking?: Tracking;
}

/** What merge files need, which is no engine: they are imported by themselves, in a third of the time. */
export interface Merging {
  mergeModels(file: MergeFile, output: string, options: MergeModelsOptions): Promise<MergeResult>;
}

/** What came of a fit, as far as it is printed. */
export interface Fitted {
  readonly runPath: string;
  readonly rows: readonly ResultRow[];
  readonly reason: "finished" | "interrupted";
}

/** The functions that verbs call (library.ts beside this file); it loads the engines, so it is imported when one runs. */
export interface Library {
  fit(config: LoadedConfig, options: VerbOptions): Promise<Fitted>;
  resume(runPath: string, options: VerbOptions): Promise<Fitted>;
  planFit(config: LoadedConfig, options: VerbOptions): Promise<FitPlan>;
  initSuite(request: InitRequest, options: InitOptions): Promise<InitFindings>;
  sync(runs: readonly string[], options: SyncOptions): Promise<readonly { runId: string }[]>;
  report(runPath: string, options: Pick<VerbOptions, "cwd" | "log">): Promise<string>;
  evaluateMethod(
    config: RunConfig,
    target: EvaluationTarget,
    options: WorkOptions,
  ): Promise<{ row: ResultRow; predictions: object }>;
  evaluateModel(
    folder: string,
    given: LabelledInputs,
    options: WorkOptions & Pick<EvaluateModelOptions, "device" | "threads">,
  ): Promise<{ row: ResultRow; predictions: object }>;
  openPredictor(folder: string, options: OpenPredictorOptions): Promise<Predictor>;
  mergeToDirectory(
    config: RunConfig,
    coefficientsPath: string,
    outputDir: string,
    options: WorkOptions & { readonly configPath: string },
  ): Promise<void>;
  convertCoefficients(
    config: RunConfig,
    options: {
      readonly from: string;
      readonly output: string;
      readonly to: "json" | "fusionbench" | "official" | "mergekit";
      readonly overwrite: boolean;
      readonly configPath: string;
      readonly cacheDir: string;
      readonly hub: Hub;
    },
  ): Promise<{ readonly tasks: readonly string[]; readonly groups: readonly string[] }>;
  quickstart(options: VerbOptions & { readonly suite: string }): Promise<QuickstartResult>;
  doctor(options: Pick<VerbOptions, "cwd" | "cacheDir" | "tracking">): Promise<DoctorReport>;
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
  /** Aborted when stdout refuses what is written: work whose results come one by one need not go on. */
  readonly refused?: AbortSignal;
  /** Resolves when stdout takes more. */
  readonly drained?: () => Promise<void>;
  readonly library: () => Promise<Library>;
  readonly merging: () => Promise<Merging>;
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
  const uri = io.env.MLFLOW_TRACKING_URI;
  return {
    ...(uri ? { tracking: trackingOf(io, uri) } : {}),
    cacheDir: cacheDirectory(io),
    signal: io.signal,
    hub: hubOf(io, choices.quiet),
    overwrite: choices.overwrite ?? false,
    onEvent: choices.quiet ? () => {} : view.show,
    log: choices.quiet ? () => {} : view.log,
  };
}

/** The options of the library's verbs, all of them said: progress goes to stderr unless `quiet`. */
export function verbOptions(
  io: CliIo,
  choices: { readonly quiet: boolean; readonly overwrite?: boolean },
): VerbOptions {
  const { onEvent, hub, ...work } = workOptions(io, choices);
  const show = (event: WorkEvent): void => {
    if (event.type === "download") hub.onProgress?.(event);
    else if (event.type !== "merge") onEvent(event);
  };
  return { ...work, ...lightOptions(io), hub, onEvent: show };
}

/** Of verbs that only look at what is there: where this is, and the tracking server of the environment. */
export function lightOptions(io: CliIo): Pick<VerbOptions, "cwd" | "cacheDir" | "tracking"> {
  const uri = io.env.MLFLOW_TRACKING_URI;
  return { cwd: io.cwd, cacheDir: cacheDirectory(io), tracking: uri ? trackingOf(io, uri) : false };
}

/** The hub, as the environment sets it up; downloads show their progress on stderr unless `quiet`. */
export function hubOf(io: CliIo, quiet: boolean): Hub {
  const progress = createByteProgress(io.stderr, () => performance.now());
  return {
    ...hubSettings(io),
    fetch,
    signal: io.signal,
    log: (line) => {
      if (!quiet) io.stderr.write(`${shownText(line)}\n`);
    },
    onProgress: (state) => {
      if (!quiet) progress.show(state);
      if (state.doneBytes >= state.totalBytes) progress.end();
    },
  };
}

/** Prints a result for machines. */
export function printJson(io: CliIo, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
