/** Computes cells one after another, or several at a time in processes of their own, and writes each result as it comes. */
import { fileURLToPath } from "node:url";
import { createProcessPool, threadsOfEach } from "../launch/process-pool.js";
import { mean } from "../report/statistics.js";
import type { SessionOptions } from "../run/session/session.js";
import { type CellJob, cellJob } from "./cell-job.js";
import type { Cell } from "./cells.js";
import { type CellResult, writeResult } from "./results.js";
import { runCell } from "./run-cell.js";
import type { DoneCell } from "./summarize.js";

const CELL_PROCESS = new URL("./cell-process.js", import.meta.url);

export interface ComputeCellsOptions extends SessionOptions {
  /** Cells at the same time. */
  readonly jobs: number;
}

/**
 * Computes cells in their order, until all are done, one fails or the signal aborts; returns how many. `onRow` is awaited after the last cell
 * of each row. Throws the error of the first cell that failed, when those under way have ended.
 */
export async function computeCells(
  cells: readonly Cell[],
  cellsDir: string,
  done: Map<string, DoneCell>,
  options: ComputeCellsOptions,
  onRow: () => Promise<void>,
): Promise<number> {
  const { signal, log } = options;
  const { compute, close } = openComputer(options);
  const queue = [...cells];
  const failures: unknown[] = [];
  let computed = 0;
  const work = async (): Promise<void> => {
    for (
      let cell = queue.shift();
      cell !== undefined && !signal.aborted && failures.length === 0;
      cell = queue.shift()
    ) {
      try {
        const result = await compute(cell);
        await writeResult(cellsDir, result);
        done.set(cell.key, { cell, result });
        computed += 1;
        log(`[${computed}/${cells.length}] ${lineOf(result)}`);
        const { row } = cell;
        if (cells.every((other) => other.row !== row || done.has(other.key))) await onRow();
      } catch (error) {
        if (signal.aborted) return;
        failures.push(error);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(options.jobs, cells.length) }, work));
  } finally {
    await close();
  }
  if (failures.length > 0) throw failures[0];
  return computed;
}

function lineOf({ key, tasks, seconds }: CellResult): string {
  return `${key}: ${mean(Object.values(tasks)).toFixed(2)} % (${seconds.toFixed(0)} s)`;
}

interface Computer {
  compute(cell: Cell): Promise<CellResult>;
  close(): Promise<void>;
}

/** This process, or a pool of others with an equal share of the cores each. */
function openComputer(options: ComputeCellsOptions): Computer {
  const { jobs, signal } = options;
  if (jobs === 1)
    return { compute: (cell) => runCell(cell, { ...options, log: () => {} }), close: () => Promise.resolve() };
  const pool = createProcessPool<CellJob, CellResult>({
    module: fileURLToPath(CELL_PROCESS),
    processes: jobs,
    signal,
  });
  const threads = threadsOfEach(jobs);
  const shared = (cell: Cell): Cell =>
    cell.config.threads === 0 ? { ...cell, config: { ...cell.config, threads } } : cell;
  return { compute: (cell) => pool.run(cellJob(shared(cell), options)), close: pool.close };
}
