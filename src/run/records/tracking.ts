/** Connects a run to what it is delivered to: an MLflow server, which gets its folder while it goes on and at its end, or a program's own tracker. */
import { setTimeout } from "node:timers/promises";
import type { FinetuneConfig } from "../../config/finetune.js";
import type { RunConfig } from "../../config/schema.js";
import { TrackerError } from "../../errors.js";
import type { TrainEvent } from "../../optimize/events.js";
import { saidOnce } from "../../runtime/said-once.js";
import type { FinetuneEvent } from "../../track/finetune-events.js";
import { createMlflowClient } from "../../track/mlflow/client.js";
import { type Delivered, deliver } from "../../track/mlflow/delivery.js";
import { createLiveTracker, type LiveTracker } from "../../track/mlflow/live.js";
import { closeParent, openParent, type ParentEnd, type ParentRun } from "../../track/mlflow/parent.js";

/** The server and how to speak to it, from the environment of the command line. */
export interface Tracking {
  readonly uri: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** The directory below which the server may have artifacts put on this machine; undefined: nowhere. */
  readonly artifactRoot?: string | undefined;
  /** Experiment on the server; null for the run's own. */
  readonly experiment: string | null;
  /** Also deliver the model. */
  readonly withModel: boolean;
  /** Register delivered models under this name, also those whose config does not ask for it. */
  readonly register?: string | undefined;
  /** Who runs and delivers. */
  readonly user?: string | undefined;
  /** The sweep's run on the server, for its trials. */
  readonly parentRunId?: string | undefined;
}

/** A run as a tracker is told of it: of `fit`, or of `finetune`. */
export type TrackedRun =
  | { readonly kind: "fit"; readonly runPath: string; readonly config: RunConfig }
  | { readonly kind: "finetune"; readonly runPath: string; readonly config: FinetuneConfig };

/** A tracker of a program's own: it follows each run by its folder, which has everything, and by its events. */
export interface CustomTracking {
  /** Called when the run's folder is there, before the first event, also of a run that is resumed. */
  track(run: TrackedRun): RunTracker;
}

/** What it throws is told, and neither stops nor fails the run. */
export interface RunTracker {
  /** Called after each event; the run waits for nothing. */
  notify(event: TrainEvent | FinetuneEvent): void;
  /** Called when the run has ended and its folder is complete, also when it was stopped or failed; it is waited for, but not longer. */
  finish(limitMs: number): Promise<void>;
}

/** A run that is delivered somewhere. */
interface Tracked {
  notify(event: TrainEvent | FinetuneEvent): void;
  /** Whether all has been delivered in time. */
  finish(limitMs: number): Promise<boolean>;
  /** What to do when it has not. */
  readonly advice: string;
}

/** A run that is over does not wait longer than this for a server, and one that was interrupted hardly at all. */
const FINISH_LIMIT_MS = 30_000;
const INTERRUPTED_LIMIT_MS = 3_000;

function clientOf(tracking: Tracking, attempts?: number) {
  const { uri, username, password, token, artifactRoot } = tracking;
  const credentials = { username, password, token, artifactRoot };
  const tools = { fetch, sleep: (ms: number) => setTimeout(ms), random: Math.random };
  return createMlflowClient({ uri, ...credentials, ...tools, ...(attempts === undefined ? {} : { attempts }) });
}

/** Begins to deliver a run while its folder is written. */
export function trackRun(run: TrackedRun, tracking: Tracking | CustomTracking, log: (line: string) => void): Tracked {
  if ("track" in tracking) return trackByProgram(run, tracking, log);
  const tracker = trackOnServer(run.runPath, tracking, log);
  return { ...tracker, advice: `\`adamerge sync ${run.runPath}\` delivers the rest` };
}

/** A request is not repeated at once: the next delivery is soon enough. */
function trackOnServer(folder: string, tracking: Tracking, log: (line: string) => void): LiveTracker {
  const client = clientOf(tracking, 1);
  const { uri, experiment, withModel, register, user, parentRunId } = tracking;
  let isShown = false;
  return createLiveTracker({
    deliver: async () => {
      const delivered = await deliver(folder, {
        ...{ client, uri, experiment, withModel, register, user, parentRunId, log },
      });
      if (!isShown) log(`mlflow: ${delivered.url}`);
      isShown = true;
      return delivered;
    },
    log,
    clock: () => performance.now(),
  });
}

function trackByProgram(run: TrackedRun, tracking: CustomTracking, log: (line: string) => void): Tracked {
  let isTold = false;
  const tell = (error: unknown): void => {
    if (!isTold) log(`tracker: ${error instanceof Error ? error.message : error}; the run goes on`);
    isTold = true;
  };
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      tell(error);
      return undefined;
    }
  };
  const tracker = attempt(() => tracking.track(run));
  return {
    notify: (event) => attempt(() => tracker?.notify(event)),
    finish: async (limitMs) => {
      if (tracker === undefined) return false;
      const late = setTimeout(limitMs, false, { ref: false });
      const done = (async () => tracker.finish(limitMs))().then(
        () => true,
        (error: unknown) => {
          tell(error);
          return false;
        },
      );
      return Promise.race([done, late]);
    },
    advice: `its folder ${run.runPath} has everything`,
  };
}

/** Delivers what is left when a run has ended, and says how to deliver what could not be. */
export async function finishTracking(
  tracker: Tracked | undefined,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<void> {
  if (tracker === undefined) return;
  if (await tracker.finish(signal.aborted ? INTERRUPTED_LIMIT_MS : FINISH_LIMIT_MS)) return;
  log(`the tracker has not got all of the run; ${tracker.advice}`);
}

/** Delivers folders of runs to a server, one after another; what is there already is not sent again. Throws TrackerError. */
export async function syncRuns(
  folders: readonly string[],
  tracking: Tracking,
  log: (line: string) => void,
): Promise<Delivered[]> {
  const client = clientOf(tracking);
  const { uri, experiment, withModel, register, user, parentRunId } = tracking;
  const delivered: Delivered[] = [];
  // What a server lacks is said once, not for each run.
  const once = saidOnce(log);
  for (const folder of folders) {
    const result = await deliver(folder, {
      client,
      uri,
      experiment,
      withModel,
      register,
      user,
      parentRunId,
      log: once,
    });
    log(`${folder}: ${result.points} points and ${result.files} files sent to ${result.url}`);
    delivered.push(result);
  }
  return delivered;
}

/** A sweep's run on the server: its id for the trials, and how to end it. */
export interface TrackedSweep {
  readonly runId: string;
  end(end: ParentEnd): Promise<void>;
}

/** Opens the sweep's run. A server that does not answer costs the sweep a line and the nesting of its trials, nothing else. */
export async function trackSweep(
  tracking: Tracking,
  parent: ParentRun,
  log: (line: string) => void,
): Promise<TrackedSweep | undefined> {
  const client = clientOf(tracking, 2);
  const told = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      log(`mlflow: ${error.message}; the sweep goes on, \`adamerge sync\` delivers its trials`);
      return undefined;
    }
  };
  const experiment = tracking.experiment ?? parent.experiment;
  const run = await told(() => openParent(client, { ...parent, experiment }));
  if (run === undefined) return undefined;
  return {
    runId: run.runId,
    end: async (end) => {
      await told(() => closeParent(client, run, end));
    },
  };
}

/** Delivers the trials of a sweep that is over, or stands still, below a run of its own. Throws TrackerError. */
export async function syncSweep(
  folders: readonly string[],
  parent: ParentRun,
  end: ParentEnd,
  tracking: Tracking,
  log: (line: string) => void,
): Promise<Delivered[]> {
  const client = clientOf(tracking);
  const run = await openParent(client, { ...parent, experiment: tracking.experiment ?? parent.experiment });
  const delivered = await syncRuns(folders, { ...tracking, parentRunId: run.runId }, log);
  await closeParent(client, run, end);
  return delivered;
}
