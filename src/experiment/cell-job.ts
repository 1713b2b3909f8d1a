/** A cell as it is sent to another process: plain JSON data. */
import type { HubSettings } from "../checkpoint/hub/settings.js";
import { addFamilyModules, familyModules } from "../model/family-modules.js";
import type { SessionOptions } from "../run/session/session.js";
import type { Cell } from "./cells.js";
import type { CellResult } from "./results.js";
import { runCell } from "./run-cell.js";

export interface CellJob {
  readonly cell: Cell;
  readonly cacheDir: string;
  readonly hub: HubSettings | undefined;
  /** Modules with families of models. */
  readonly families: readonly string[];
}

/** The job that computes the cell with what can be sent of the session's options. */
export function cellJob(cell: Cell, { cacheDir, hub }: SessionOptions): CellJob {
  const families = familyModules();
  if (hub === undefined) return { cell, cacheDir, hub, families };
  const { endpoint, cacheDir: hubCache, token, tokenPath, offline } = hub;
  return { cell, cacheDir, hub: { endpoint, cacheDir: hubCache, token, tokenPath, offline }, families };
}

/** Computes the cell. Throws as `runCell`. */
export async function runCellJob({ cell, cacheDir, hub, families }: CellJob, signal: AbortSignal): Promise<CellResult> {
  await addFamilyModules(families);
  const log = (): void => {};
  return runCell(cell, {
    cacheDir,
    signal,
    log,
    ...(hub === undefined ? {} : { hub: { ...hub, fetch, signal, log } }),
  });
}
