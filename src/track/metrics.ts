/** Train events as flat named numbers, the names W&B, TensorBoard and MLflow users know (`train/loss`). */
import type { ObjectiveName } from "../objective/catalog.js";
import type { StartEvent, TrainEvent } from "../optimize/events.js";

/** One line of metrics.jsonl: `step` and the metrics of one event. */
export type Metrics = { readonly step: number } & Readonly<Record<string, number>>;

/** What the values of each task are called under which an objective is minimised, `train/entropy/<task>`; and the name for all of them until 0.1. */
export const objectiveMetric = (name: ObjectiveName): string => `train/${name}`;
export const FORMER_OBJECTIVE_METRIC = "train/entropy";
/** Of each task, `eval/predicted_classes/<task>`. */
export const PREDICTED_CLASSES_METRIC = "eval/predicted_classes";

/**
 * The metrics of an event, or undefined for one that has none; `start` is the event that they began with. Losses in the objective's unit or, at
 * evaluations, as entropies in nats, accuracies in percent.
 */
export function metricsOf(
  event: TrainEvent,
  { tasks, objective }: Pick<StartEvent, "tasks" | "objective">,
): Metrics | undefined {
  switch (event.type) {
    case "start":
    case "checkpoint":
    case "end":
      return undefined;
    case "step":
      return {
        step: event.step,
        ...(event.stage === undefined ? {} : { "train/stage": event.stage }),
        "train/loss": event.loss,
        ...perTask(objectiveMetric(objective), tasks, event.taskLosses),
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
        ...perTask(PREDICTED_CLASSES_METRIC, event.tasks, event.effectiveClasses ?? []),
        ...perTask("eval/loss", event.tasks, event.labelled?.lossNats ?? []),
        ...(event.gradientCosine === undefined ? {} : { "eval/gradient_cosine": event.gradientCosine }),
      };
    case "look":
      return {
        step: event.step,
        "stopping/score": event.score,
        ...perTask("stopping/score", event.tasks, event.taskScores),
        "stopping/best_step": event.bestStep,
      };
    default:
      return event satisfies never;
  }
}

function perTask(prefix: string, tasks: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, index) => [`${prefix}/${tasks[index] ?? index}`, value]));
}
