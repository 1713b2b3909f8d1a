/**
 * What a training needs to go on after an interruption: step, parameters and Adam's moments, in one file that is replaced
 * as a whole. Layout: float64 [4] (format, step, seconds so far, smoothed loss), then parameters, means and mean squares.
 */
import { readFile, rm } from "node:fs/promises";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";

const FORMAT = 1;
const HEADER = 4;

export interface TrainState {
  step: number;
  /** Wall time spent so far, over all interruptions. */
  seconds: number;
  /** Exponential mean of the loss, for the log. */
  loss: number;
  readonly parameters: Float64Array;
  readonly adam: { updates: number; readonly mean: Float64Array; readonly meanSquare: Float64Array };
}

/** The state at `path`, or undefined when there is none for `size` parameters. */
export async function readTrainState(path: string, size: number): Promise<TrainState | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined || bytes.length !== 8 * (HEADER + 3 * size)) return undefined;
  const all = new Float64Array(Uint8Array.from(bytes).buffer);
  const [format = 0, step = 0, seconds = 0, loss = 0] = all;
  if (format !== FORMAT) return undefined;
  const part = (index: number): Float64Array => all.slice(HEADER + index * size, HEADER + (index + 1) * size);
  return {
    step,
    seconds,
    loss,
    parameters: part(0),
    adam: { updates: step, mean: part(1), meanSquare: part(2) },
  };
}

export async function writeTrainState(
  path: string,
  { step, seconds, loss, parameters, adam }: TrainState,
): Promise<void> {
  const size = parameters.length;
  const all = new Float64Array(HEADER + 3 * size);
  all.set([FORMAT, step, seconds, loss]);
  for (const [index, values] of [parameters, adam.mean, adam.meanSquare].entries())
    all.set(values, HEADER + index * size);
  await writeFileAtomic(path, new Uint8Array(all.buffer));
}

export async function removeTrainState(path: string): Promise<void> {
  await rm(path, { force: true });
}
