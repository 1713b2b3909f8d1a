/**
 * The one logit scale of a suite's heads. With frozen unit-length prototypes the scale decides how sure a model can be, and
 * so the size and the gradient of its entropy; it is chosen without labels and without the images of val and test.
 * N images, C classes of one task.
 */

export interface TaskScores {
  readonly task: string;
  readonly classes: number;
  /** [N, C]: scores before scaling. */
  readonly scoresNC: Float32Array;
}

/** The share of log C at which the pretrained model's entropy is set: neither blind (1) nor sure of everything (0). */
const ENTROPY_SHARE = 0.5;
const LOWEST = 1;
const HIGHEST = 200;
const ROUNDS = 30;

/** The scale at which the mean entropy, as a share of log C and averaged over tasks, is one half; to one decimal. */
export function chooseLogitScale(tasks: readonly TaskScores[]): number {
  let [low, high] = [LOWEST, HIGHEST];
  // The entropy falls as the scale grows.
  for (let round = 0; round < ROUNDS; round++) {
    const scale = Math.sqrt(low * high);
    const share = mean(tasks.map((task) => entropyShare(task, scale)));
    if (share > ENTROPY_SHARE) low = scale;
    else high = scale;
  }
  return Math.round(Math.sqrt(low * high) * 10) / 10;
}

/** Mean entropy of softmax(scale * scores) as a share of log C. */
export function entropyShare({ scoresNC, classes }: TaskScores, scale: number): number {
  let total = 0;
  for (let first = 0; first < scoresNC.length; first += classes) {
    const row = scoresNC.subarray(first, first + classes);
    const top = row.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    const exponents = Array.from(row, (score) => scale * (score - top));
    const sum = exponents.reduce((all, exponent) => all + Math.exp(exponent), 0);
    // H = log sum - E[exponent], stable where a probability underflows.
    const expected = exponents.reduce((all, exponent) => all + (Math.exp(exponent) / sum) * exponent, 0);
    total += Math.log(sum) - expected;
  }
  return total / (scoresNC.length / classes) / Math.log(classes);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
