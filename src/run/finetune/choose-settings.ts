/** The settings that a fine-tuning's null stand for, known when model and data are: rate, steps, LoRA's alpha. */
import type { FinetuneConfig } from "../../config/finetune.js";
import { paddedLength } from "../../data/lengths.js";
import { sizeOf } from "../../engine/program.js";
import { assert } from "../../errors.js";
import { FINE_TUNED_WIDTH, type Model, type ModelFamily, type NamedShape, USUAL_RATES } from "../../model/family.js";
import { keptPerExample } from "../../optimize/fine-tune/dropout.js";
import type { LoraOptions } from "../../optimize/fine-tune/lora.js";
import { SUMMED_GRADIENT_BYTES } from "../../optimize/micro-batches.js";
import type { ScheduleOptions } from "../../optimize/schedule.js";
import { microBatches } from "../../optimize/step-memory.js";

export interface ChosenSettings {
  readonly schedule: ScheduleOptions;
  readonly lora: LoraOptions | undefined;
  /** Steps between evaluations; 0: at the end only. */
  readonly evaluateEvery: number;
  /** Equal parts of a batch that are computed one after the other. */
  readonly passes: number;
  /** What the learning rate of a tensor is multiplied with. */
  readonly rateFactor: (tensor: NamedShape) => number;
}

/** Digits of a rate that was chosen here: what a person would write. */
const RATE_DIGITS = 2;

/**
 * Bytes of each trained value besides the graph: values, gradient and AdamW's moments, the engine's copies, and the copy
 * that is judged.
 */
const TRAINED_BYTES = 28;
/** Of each value of the model: as it was at the start, and in the forward that judges. */
const WEIGHT_BYTES = 8;
/** Of each value that dropout keeps or not: on its way to the engine's thread, and there widened and multiplied. */
const KEPT_BYTES = 12;

/** `examples`: those that are trained on. Throws ConfigError for a memory_gb in which no example fits. */
export function chooseSettings(
  config: FinetuneConfig,
  family: Pick<ModelFamily, "fineTuning">,
  model: Model,
  examples: number,
): ChosenSettings {
  const { lora, optimizer, batch_size, epochs } = config;
  const perEpoch = Math.max(1, Math.ceil(examples / batch_size));
  const steps = config.steps ?? Math.max(1, Math.round((epochs * examples) / batch_size));
  const factors: LoraOptions | undefined =
    lora.rank === 0
      ? undefined
      : {
          ...{ rank: lora.rank, alpha: lora.alpha ?? 2 * lora.rank, dropout: lora.dropout },
          ...(lora.targets === null ? {} : { targets: lora.targets }),
        };
  return {
    schedule: {
      ...{ schedule: optimizer.schedule, steps },
      learningRate: optimizer.learning_rate ?? usualRate(family, model, lora.rank > 0),
      // The last step is never of the warm-up, so that the schedule has a part.
      warmupSteps: Math.min(steps - 1, Math.round(optimizer.warmup * steps)),
    },
    lora: factors,
    evaluateEvery: config.eval.every ?? perEpoch,
    passes: passesOf(config, model, factors),
    rateFactor: layerRates(model, optimizer.layer_decay),
  };
}

function passesOf(
  { memory_gb, batch_size, max_length, freeze }: FinetuneConfig,
  model: Model,
  lora?: LoraOptions,
): number {
  if (memory_gb === 0) return 1;
  const values = model.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  // Factors are few; their gradients need no more than the weights would, which are not trained then.
  const trained = lora === undefined ? values : 0;
  const kept = (length?: number) => keptPerExample({ model, freeze, ...(lora === undefined ? {} : { lora }) }, length);
  const valuesPerExample = (length?: number) => model.valuesPerExample(length) + (KEPT_BYTES / 4) * kept(length);
  const longest = max_length === null ? undefined : model.lengths && paddedLength(model.lengths, max_length);
  const passesBeside = (besidesBytes: number): number =>
    microBatches(memory_gb * 1e9, batch_size, {
      ...{ model: { ...model, valuesPerExample }, tasks: 1, adaptedTasks: 1, isHalf: false, longest },
      ...{ besidesBytes, instead: "cut texts or take a smaller model" },
    });
  const besidesBytes = TRAINED_BYTES * trained + WEIGHT_BYTES * values;
  return passesBeside(besidesBytes) === 1 ? 1 : passesBeside(besidesBytes + SUMMED_GRADIENT_BYTES * trained);
}

/** The family's rate, for the width of this model. */
function usualRate(
  { fineTuning = USUAL_RATES }: Pick<ModelFamily, "fineTuning">,
  { tensors }: Pick<Model, "tensors">,
  isLora: boolean,
): number {
  const rate = isLora ? fineTuning.loraLearningRate : fineTuning.learningRate;
  // What goes into a block's first layer is as wide as the model.
  const [, width] = tensors.find(({ part, sharesInput }) => part === "block" && sharesInput !== undefined)?.shape ?? [];
  return Number((rate * (FINE_TUNED_WIDTH / (width ?? FINE_TUNED_WIDTH))).toPrecision(RATE_DIGITS));
}

/**
 * `decay` to the power of how many blocks lie between a tensor and the output (Clark et al. 2020, ELECTRA; BEiT): 0 for
 * what lies behind the last block and for heads, 1 for that block, one more than the first block's for embeddings.
 */
function layerRates({ tensors }: Pick<Model, "tensors">, decay: number): ChosenSettings["rateFactor"] {
  if (decay === 1) return () => 1;
  const blocks = 1 + Math.max(-1, ...tensors.map(({ block }) => block ?? -1));
  const depths = new Map(
    tensors.map(({ name, part, block }): [string, number] => {
      if (part === "embeddings") return [name, blocks + 1];
      return [name, block === undefined ? 0 : blocks - block];
    }),
  );
  return ({ name }) => {
    // Factors of LoRA are called after their module.
    const depth = depths.get(name) ?? depths.get(name.replace(/\.lora_[AB]\.weight$/, ".weight")) ?? 0;
    assert(depth >= 0, `${name} is behind the output`);
    return decay ** depth;
  };
}
