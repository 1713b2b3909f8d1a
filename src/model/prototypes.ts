/**
 * Class prototypes: a classifier from labelled images and the tower alone. The row of a class is the mean of its images' features, less
 * the mean of all classes, at length 1 (Snell et al. 2017, arXiv:1703.05175, with cosines and centred); the bias takes the centre from
 * every image. N images, E features, C classes.
 * Measured on mini8 (prototypes from `adapt`, accuracy on `val`, mean of 8 tasks; the suite's own heads 85.4 on the experts, 56.9 merged):
 *                                            expert   merged (task arithmetic 0.3)
 *     features of the expert, centred         85.6     56.2
 *     features of the expert, not centred     85.7     56.0   (averaging: 54.9 against 54.2)
 *     features of the base, centred           80.1     53.9
 * so rows come from the expert unless asked otherwise: fine-tuning has moved the classes, and merging moves features towards it.
 */

/** The limit on the logit scale of contrastive training (Radford et al. 2021, section 2.5): classes that separate perfectly would ask for infinity. */
const MAX_LOGIT_SCALE = 100;
const MIN_LOGIT_SCALE = 0.1;
/** Images that the scale is fitted on: a number has converged long before, and 1000 classes cost a second. */
const SCALE_IMAGES = 2000;
/** Of the golden section; each leaves 0.618 of the interval of logarithms. */
const SCALE_ITERATIONS = 40;

export interface Prototypes {
  /** [C, E], rows of length 1. */
  readonly weightCE: Float32Array;
  /** [C], added after scaling. */
  readonly biasC: Float32Array;
  readonly logitScale: number;
}

/**
 * Prototypes of normalised features [N, E] with their labels [N]. Every class needs an image, and its mean must differ from that of all. Without
 * `logitScale` the scale is the one with the least cross-entropy on these images, each left out of its own prototype; undefined when no class
 * has two images to do that with.
 */
export function classPrototypes(
  featuresNE: Float32Array,
  labelsN: Int32Array,
  classes: number,
  logitScale?: number,
): Prototypes | undefined {
  const size = featuresNE.length / labelsN.length;
  const sums = new Float64Array(classes * size);
  const counts = new Float64Array(classes);
  for (let image = 0; image < labelsN.length; image++) {
    const label = labelsN[image] ?? 0;
    counts[label] = (counts[label] ?? 0) + 1;
    for (let e = 0; e < size; e++)
      sums[label * size + e] = (sums[label * size + e] ?? 0) + (featuresNE[image * size + e] ?? 0);
  }
  const centre = centreOf(sums, counts, size);
  const rows = Array.from({ length: classes }, (_, c) =>
    unitRow(sums.subarray(c * size, (c + 1) * size), counts[c] ?? 1, centre),
  );
  const scale = logitScale ?? bestScale({ featuresNE, labelsN, sums, counts, centre, rows });
  if (scale === undefined) return undefined;
  const weightCE = new Float32Array(classes * size);
  const biasC = new Float32Array(classes);
  for (const [c, row] of rows.entries()) {
    weightCE.set(row, c * size);
    biasC[c] = -scale * dot(row, centre);
  }
  return { weightCE, biasC, logitScale: scale };
}

/** The mean of the classes' means: a class with more images weighs no more. */
function centreOf(sums: Float64Array, counts: Float64Array, size: number): Float64Array {
  const centre = new Float64Array(size);
  for (const [c, count] of counts.entries())
    for (let e = 0; e < size; e++) centre[e] = (centre[e] ?? 0) + (sums[c * size + e] ?? 0) / count / counts.length;
  return centre;
}

function unitRow(sumE: Float64Array, count: number, centreE: Float64Array): Float64Array {
  const row = sumE.map((sum, e) => sum / count - (centreE[e] ?? 0));
  const length = Math.hypot(...row);
  return length === 0 ? row : row.map((value) => value / length);
}

function dot(a: Float64Array, b: Float64Array | Float32Array): number {
  let sum = 0;
  for (let e = 0; e < a.length; e++) sum += (a[e] ?? 0) * (b[e] ?? 0);
  return sum;
}

interface ScaleProblem {
  readonly featuresNE: Float32Array;
  readonly labelsN: Int32Array;
  readonly sums: Float64Array;
  readonly counts: Float64Array;
  readonly centre: Float64Array;
  readonly rows: readonly Float64Array[];
}

function bestScale(problem: ScaleProblem): number | undefined {
  const scored = leftOutScores(problem);
  if (scored.length === 0) return undefined;
  const lossAt = (logScale: number): number => {
    const scale = Math.exp(logScale);
    let loss = 0;
    for (const { scoresC, label } of scored) loss += crossEntropy(scoresC, label, scale);
    return loss;
  };
  return Math.exp(goldenSection(lossAt, Math.log(MIN_LOGIT_SCALE), Math.log(MAX_LOGIT_SCALE)));
}

/** Cosines of images with all prototypes, their own made without them; images alone in their class have none. */
function leftOutScores({ featuresNE, labelsN, sums, counts, centre, rows }: ScaleProblem) {
  const size = centre.length;
  const stride = Math.max(1, Math.floor(labelsN.length / SCALE_IMAGES));
  const scored: { readonly scoresC: Float64Array; readonly label: number }[] = [];
  for (let image = 0; image < labelsN.length; image += stride) {
    const label = labelsN[image] ?? 0;
    const count = counts[label] ?? 0;
    if (count < 2) continue;
    const featuresE = featuresNE.subarray(image * size, (image + 1) * size);
    const others = sums.subarray(label * size, (label + 1) * size).map((sum, e) => sum - (featuresE[e] ?? 0));
    const own = unitRow(others, count - 1, centre);
    const centred = Float64Array.from(featuresE, (value, e) => value - (centre[e] ?? 0));
    scored.push({ label, scoresC: Float64Array.from(rows, (row, c) => dot(c === label ? own : row, centred)) });
  }
  return scored;
}

function crossEntropy(scoresC: Float64Array, label: number, scale: number): number {
  const largest = scoresC.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  for (const score of scoresC) total += Math.exp(scale * (score - largest));
  return Math.log(total) - scale * ((scoresC[label] ?? 0) - largest);
}

/** The least value's place; the loss is convex in the scale, so it has one valley in its logarithm too. */
function goldenSection(valueAt: (x: number) => number, from: number, to: number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [from, to];
  let [left, right] = [high - ratio * (high - low), low + ratio * (high - low)];
  let [atLeft, atRight] = [valueAt(left), valueAt(right)];
  for (let iteration = 0; iteration < SCALE_ITERATIONS; iteration++) {
    if (atLeft < atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - ratio * (high - low);
      atLeft = valueAt(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + ratio * (high - low);
      atRight = valueAt(right);
    }
  }
  return (low + high) / 2;
}
