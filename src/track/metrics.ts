/** Train events as flat named numbers, the names W&B, TensorBoard and MLflow users know (`train/loss`). */
import type { TrainEvent } from "../optimize/events.js";

/** One line of metrics.jsonl: `step` and the metrics of one event. */
export type Metrics = { readonly step: number } & Readonly<Record<string, number>>;

/**
 * The metrics of an event, or undefined for one that has none. `tasks` are the names of the start event.
 * Losses and entropies in nats, accuracies in percent.
 */
export function metricsOf(event: TrainEvent, tasks: readonly string[]): Metrics | undefined {
  switch (event.type) {
    case "start":
    case "checkpoint":
    case "end":
      return undefined;
    case "step":
      return {
        step: event.step,
        "train/loss": event.lossNats,
        ...perTask("train/entropy", tasks, event.taskLossNats),
        ...perTask("lambda/mean", tasks, event.coefficientMeans),
        "train/gradient_norm": event.gradientNorm,
        "train/learning_rate": event.learningRate,
        "time/images_per_second": event.imagesPerSecond,
      };
    case "evaluation":
      return {
        step: event.step,
        ...(event.labelled === undefined ? {} : { "eval/acc": event.labelled.averagePercent }),
        ...perTask("eval/acc", event.tasks, event.labelled?.accuracyPercent ?? []),
        ...perTask("eval/entropy", event.tasks, event.entropyNats),
        ...perTask("eval/loss", event.tasks, event.labelled?.lossNats ?? []),
        ...(event.gradientCosine === undefined ? {} : { "eval/gradient_cosine": event.gradientCosine }),
      };
    default:
      return event satisfies never;
  }
}

function perTask(prefix: string, tasks: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, index) => [`${prefix}/${tasks[index] ?? index}`, value]));
}
