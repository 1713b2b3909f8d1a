/**
 * Fine-tuning of any model on labelled examples of any kind: an async generator of events that knows no console and writes nothing but its state.
 */
import { internalError } from "../../errors.js";
import type { FineTuned, FineTuneEvent, FineTuning } from "./options.js";

/**
 * Trains to the last step of the schedule: AdamW on the cross-entropy of each task under its head, the gradient clipped by its norm. Yields
 * events and returns what was learned, whether it finished or was aborted; whoever has saved that removes the state's file.
 *
 * Batches are a pure function of (seed, task, step); texts are padded to the longest of their batch, in the least of the model's lengths. A training
 * that resumes from its state gives the same bytes as one that was never stopped, on the same machine with the same number of threads.
 *
 * Throws NumericError for a loss or gradient that is not finite: it names the step, and the state's file keeps the last state whose loss was finite.
 * Throws ConfigError for a pattern that matches no tensor, and for a state's file of a training with other settings or data.
 */
export async function* fineTune(_options: FineTuning): AsyncGenerator<FineTuneEvent, FineTuned> {
  throw internalError("fine-tuning is not there yet");
}
