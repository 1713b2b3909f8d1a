/** A cell as it is sent to another process: plain JSON data. */
import type { HubSettings } from "../checkpoint/hub/settings.js";
import type { SessionOptions } from "../run/session.js";
import type { Cell } from "./cells.js";
import type { CellResult } from "./results.js";
import { runCell } from "./run-cell.js";

export interface CellJob {
  readonly cell: Cell;
  readonly cacheDir: string;
  readonly hub: HubSettings | undefined;
}

/** The job that computes the cell with what can be sent of the session's options. */
export function cellJob(cell: Cell, { cacheDir, hub }: SessionOptions): CellJob {
  if (hub === undefined) return { cell, cacheDir, hub };
  const { endpoint, cacheDir: hubCache, token, tokenPath, offline } = hub;
  return { cell, cacheDir, hub: { endpoint, cacheDir: hubCache, token, tokenPath, offline } };
}

/** Computes the cell. Throws as `runCell`. */
export function runCellJob({ cell, cacheDir, hub }: CellJob, signal: AbortSignal): Promise<CellResult> {
  const log = (): void => {};
  return runCell(cell, {
    cacheDir,
    signal,
    log,
    ...(hub === undefined ? {} : { hub: { ...hub, fetch, signal, log } }),
  });
}
