/**
 * The options that all verbs share, what is taken where one is left out, and the events that long work tells. `resolveWork` is the one place where
 * defaults are chosen; the verbs beside this file take what it returns.
 */
import path from "node:path";
import type { DownloadProgress, Hub } from "../checkpoint/hub/request.js";
import { type HubSettings, hubSettings } from "../checkpoint/hub/settings.js";
import type { TrainEvent } from "../optimize/events.js";
import type { MergeProgress } from "../run/merge-models/merge-models.js";
import type { CustomTracking, Tracking } from "../run/records/tracking.js";
import type { OnProgress, Progress } from "../runtime/progress.js";
import type { FinetuneEvent } from "../track/finetune-events.js";
import { cacheDirectory, homeDirectory, processSurroundings, type Surroundings } from "./surroundings.js";
import { trackingOf } from "./tracking-settings.js";

/** What long work tells while it goes on: a fit its steps, evaluations and checkpoints; a fine-tuning its steps and evaluations; downloads and merges their bytes; other pieces how far they are. */
export type WorkEvent = TrainEvent | FinetuneEvent | ProgressEvent | DownloadEvent | UploadEvent | MergeEvent;

/** How far a piece of work is: reading, compiling, judging. */
export interface ProgressEvent extends Progress {
  readonly type: "progress";
}

/** Bytes that came from the hub, of how many. */
export interface DownloadEvent extends DownloadProgress {
  readonly type: "download";
}

/** Bytes that were sent to the hub, of how many. */
export interface UploadEvent extends DownloadProgress {
  readonly type: "upload";
}

/** Bytes that `mergeModels` has written, of how many, and in how many seconds. */
export interface MergeEvent extends MergeProgress {
  readonly type: "merge";
}

/** All optional; a verb's own options come beside these. */
export interface WorkOptions {
  /** Where relative paths begin; default: the working folder. */
  readonly cwd?: string | undefined;
  /** The variables that defaults are read from (ADAMERGE_CACHE, HOME, those of the hub and of MLflow); default: the process's. */
  readonly env?: Surroundings["env"] | undefined;
  /** Bundles, heads and decoded examples; default: $ADAMERGE_CACHE, $XDG_CACHE_HOME/adamerge or ~/.cache/adamerge. */
  readonly cacheDir?: string | undefined;
  /** Stops the work; a fit then keeps its state and can be resumed. Default: never. */
  readonly signal?: AbortSignal | undefined;
  /** Is told what a person would want to know, a line at a time; default: nobody. */
  readonly log?: ((line: string) => void) | undefined;
  /** Is told what goes on behind that, for whoever looks into it: files of the cache, the engine, memory; default: nobody. */
  readonly detail?: ((line: string) => void) | undefined;
  /** Is told the progress; default: nobody. What it throws ends the work. */
  readonly onEvent?: ((event: WorkEvent) => void) | undefined;
  /** Where results go: the folder of all runs (default `runs`), or of the one result that a verb writes. */
  readonly output?: string | undefined;
  /** Replace an earlier result; default: false, and an error when there is one. */
  readonly overwrite?: boolean | undefined;
  /** The Hugging Face hub; default: as HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE and the like say. */
  readonly hub?: Partial<HubSettings> | undefined;
  /** Where runs are delivered: an MLflow server (its address, or settings), a tracker of the program's, or nowhere. Default: MLFLOW_TRACKING_URI. */
  readonly tracking?: string | Tracking | CustomTracking | false | undefined;
  /** How errors call an option (`--text-model` for `textModel`, on the command line); default: as it is called here. */
  readonly optionName?: ((option: string) => string) | undefined;
}

/** The same without gaps, as far as verbs need it that look at what is there: paths absolute, defaults chosen. */
export interface LightWork {
  readonly cwd: string;
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  readonly detail: (line: string) => void;
  readonly tracking?: Tracking | CustomTracking;
  readonly optionName: (option: string) => string;
}

/** All of it. */
export interface Work extends LightWork {
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkEvent) => void;
  /** The same for pieces of work alone. */
  readonly onProgress: OnProgress;
  readonly output: string | undefined;
  readonly overwrite: boolean;
  readonly hub: Hub;
}

/** Without the hub, whose settings may be wrong where nobody asks it. Throws ConfigError for a token of MLflow that cannot be one. */
export function resolveLightWork(options: WorkOptions): LightWork {
  const surroundings = surroundingsOf(options);
  const { cwd } = surroundings;
  const tracking = trackingFor(options.tracking, surroundings);
  return {
    cwd,
    cacheDir: options.cacheDir === undefined ? cacheDirectory(surroundings) : path.resolve(cwd, options.cacheDir),
    log: options.log ?? (() => {}),
    detail: options.detail ?? (() => {}),
    optionName: options.optionName ?? ((option) => option),
    ...(tracking === undefined ? {} : { tracking }),
  };
}

/** Throws ConfigError for settings of the environment that cannot be right, such as HF_ENDPOINT. */
export function resolveWork(options: WorkOptions): Work {
  const light = resolveLightWork(options);
  const { cwd, log } = light;
  const { signal = new AbortController().signal, onEvent = () => {}, overwrite = false, output } = options;
  const onProgress: OnProgress = (progress) => onEvent({ type: "progress", ...progress });
  const onDownload = (progress: DownloadProgress) => onEvent({ type: "download", ...progress });
  return {
    ...light,
    ...{ signal, onEvent, onProgress, overwrite },
    output: output === undefined ? undefined : path.resolve(cwd, output),
    hub: { ...hubSettings(surroundingsOf(options)), ...options.hub, fetch, signal, log, onProgress: onDownload },
  };
}

/** What defaults are read from. */
export function surroundingsOf({ cwd = "", env }: Pick<WorkOptions, "cwd" | "env">): Surroundings {
  const here = processSurroundings();
  const home = env === undefined ? here.homeDir : homeDirectory(env);
  return { env: env ?? here.env, cwd: path.resolve(here.cwd, cwd), homeDir: home };
}

function trackingFor(given: WorkOptions["tracking"], surroundings: Surroundings): Work["tracking"] {
  if (given === false) return undefined;
  if (typeof given === "object") return given;
  const uri = given ?? surroundings.env.MLFLOW_TRACKING_URI;
  return uri ? trackingOf(surroundings, uri) : undefined;
}
