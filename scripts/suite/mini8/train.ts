/**
 * Fine-tuning of mini8's towers as `adamerge finetune` does it (src/optimize/fine-tune): on images changed at random,
 * with anchors, and with Adam's settings of this suite. Used for pretraining (heads trained too), experts and the
 * multi-task model. Its state is kept on disk, so that a killed training goes on where it was.
 */
import {
  type ClipVisionConfig,
  clipVisionModel,
  type Engine,
  type FineTuneAnchors,
  type FineTuned,
  type FineTuneTask,
  fineTune,
} from "../../../dist/internal.js";
import { NORMALIZATION } from "./towers.js";
import { type BatchSource, trainingBatches } from "./training-batches.js";

/** A minute or less of work is lost by a kill. */
const STATE_EVERY_STEPS = 250;
const LOG_EVERY_STEPS = 100;
/** Adam's moments as in CLIP's training (Radford et al. 2021, table 20); no weight decay, and nothing is clipped. */
const ADAM = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0 } as const;

export interface TrainHead {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export interface TrainTask extends BatchSource {
  readonly head: TrainHead;
}

export interface TrainSettings {
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly labelSmoothing: number;
}

export interface TowerTraining extends TrainSettings {
  readonly name: string;
  readonly engine: Engine;
  readonly config: ClipVisionConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly tasks: readonly TrainTask[];
  readonly logitScale: number;
  readonly trainHeads: boolean;
  readonly seed: number;
  /** Images of other domains whose features shall stay; none in pretraining. */
  readonly anchors?: FineTuneAnchors;
  readonly statePath: string;
  readonly log: (line: string) => void;
}

/**
 * Trains to the last step: linear warm-up, cosine decay. Goes on from `statePath` if there is a state, which whoever has
 * saved what was learned removes.
 */
export async function trainTower(run: TowerTraining): Promise<FineTuned> {
  const { name, engine, config, weights, seed, trainHeads, labelSmoothing, anchors, log } = run;
  const { steps, learningRate, warmupSteps, statePath } = run;
  const training = fineTune({
    ...{ engine, weights, seed, trainHeads, labelSmoothing },
    model: clipVisionModel(config, NORMALIZATION),
    tasks: run.tasks.map((task) => trainedTask(task, run)),
    ...(anchors === undefined ? {} : { anchors }),
    schedule: { schedule: "cosine", learningRate, warmupSteps, steps },
    adamw: ADAM,
    clipNorm: Number.POSITIVE_INFINITY,
    state: { path: statePath, everySteps: STATE_EVERY_STEPS },
    clock: () => performance.now(),
  });
  const images = run.tasks.reduce((sum, task) => sum + task.images, 0);
  for (;;) {
    const { done, value } = await training.next();
    if (done) return value;
    if (value.type === "start" && value.step > 0) log(`${name}: goes on after step ${value.step}`);
    if (value.type === "step" && (value.step % LOG_EVERY_STEPS === 0 || value.step === steps))
      log(
        `${name} step ${value.step}/${steps} loss ${value.loss.toFixed(3)} ${(images / value.seconds).toFixed(0)} images/s`,
      );
  }
}

function trainedTask(source: TrainTask, { name, config, logitScale, seed }: TowerTraining): FineTuneTask {
  const { pixels, head } = source;
  const classes = pixels.classes.length;
  const batches = trainingBatches(name, source, seed, config.imageSize);
  return {
    ...{ name: source.name, examplesPerStep: source.images, batchAt: batches.at },
    head: { ...head, task: source.name, classes, featureSize: config.projectionSize, logitScale },
    store: {
      ...{ kind: "image", name: source.name, size: pixels.count, labels: Int32Array.from(pixels.labels) },
      gather: () => {
        throw new Error(`${source.name}: batches are drawn with random changes`);
      },
    },
  };
}
