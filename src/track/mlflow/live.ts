/**
 * Delivers a run while it is being fitted, without ever holding the fit up: after an event a delivery starts unless one is under way
 * or the server has just failed. The run folder is the spool, so nothing is lost when the server is.
 */
import { UserError } from "../../errors.js";
import { explainSystemError } from "../../runtime/system-error.js";
import type { Delivered } from "./delivery.js";

export interface LiveOptions {
  readonly deliver: () => Promise<Delivered>;
  readonly log: (line: string) => void;
  /** Milliseconds now. */
  readonly clock: () => number;
  /** Least time between two deliveries. */
  readonly everyMs?: number;
}

export interface LiveTracker {
  /** Called after each event; returns at once. */
  notify(): void;
  /** Delivers the rest when the run has ended; false when the server could not be reached in time. */
  finish(limitMs: number): Promise<boolean>;
}

const EVERY_MS = 5000;
/** After a failure the wait doubles up to this. */
const MAX_PAUSE_MS = 120_000;

export function createLiveTracker({ deliver, log, clock, everyMs = EVERY_MS }: LiveOptions): LiveTracker {
  let under: Promise<boolean> | undefined;
  let pauseMs = everyMs;
  let nextAt = 0;
  const attempt = async (): Promise<boolean> => {
    try {
      await deliver();
      pauseMs = everyMs;
      return true;
    } catch (error) {
      // A server, a file of the delivery, a disk: none of it may end the fit.
      const known = error instanceof UserError ? error : explainSystemError(error);
      if (known === undefined) throw error;
      if (pauseMs === everyMs) log(`mlflow: ${known.message}; the run goes on, its metrics wait in the run folder`);
      pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs);
      return false;
    } finally {
      nextAt = clock() + pauseMs;
      under = undefined;
    }
  };
  return {
    notify() {
      if (under !== undefined || clock() < nextAt) return;
      under = attempt();
      // What is no tracker's error is told by finish; here it must not end the process.
      under.catch(() => undefined);
    },
    async finish(limitMs) {
      const timer = new Promise<boolean>((resolve) => setTimeout(resolve, limitMs, false).unref());
      const rest = (async () => {
        await under?.catch(() => false);
        return attempt();
      })();
      return Promise.race([rest, timer]);
    },
  };
}
