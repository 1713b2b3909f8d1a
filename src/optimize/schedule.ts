/** Learning-rate schedules as pure functions of the step. */

export interface ScheduleOptions {
  readonly schedule: "constant" | "cosine" | "linear";
  readonly learningRate: number;
  readonly warmupSteps: number;
  /** Steps of the whole fit. */
  readonly steps: number;
}

/**
 * The learning rate of update `step` (from 1): a linear rise over the warm-up, then constant, or a half cosine or a
 * line from the full rate down to 0 just after the last step (Loshchilov and Hutter 2017, without restarts).
 */
export function learningRateAt(step: number, { schedule, learningRate, warmupSteps, steps }: ScheduleOptions): number {
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  const progress = (step - 1 - warmupSteps) / (steps - warmupSteps);
  switch (schedule) {
    case "constant":
      return learningRate;
    case "cosine":
      return (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
    case "linear":
      return learningRate * (1 - progress);
    default:
      return schedule satisfies never;
  }
}
