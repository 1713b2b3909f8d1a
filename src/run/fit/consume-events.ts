/** The way of a fit's events from the trainer to those that show and keep them. */
import type { TrainEvent } from "../../optimize/events.js";

export type EventConsumer = (event: TrainEvent) => void | Promise<void>;

/** Hands every event to the consumers, in order, and returns how the fit ended. */
export async function consume<Result>(
  events: AsyncGenerator<TrainEvent, Result>,
  consumers: readonly EventConsumer[],
): Promise<Result> {
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
    for (const consumer of consumers) await consumer(next.value);
  }
}
