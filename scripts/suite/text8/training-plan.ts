/**
 * How text8's models are made: settings of the fine-tuning and what of it ships. Fixed by what the models are (accuracy of the experts, norms of
 * their task vectors, size), never by what a merging method makes of them; datasets/text8/DATASHEET.md has the measures.
 */

import type { LoraOptions } from "../../../dist/optimize/fine-tune/lora.js";

/** Longer texts are cut, in training and in suite.yaml alike: most texts of the tasks are shorter, and a step's time grows with its longest. */
export const MAX_TOKENS = 32;

/** By which cosines are multiplied; of the scales of sentence encoders' losses, sentence-transformers' default. */
export const LOGIT_SCALE = 20;

/** The tables of words and positions stay as they are: an expert is then a change of half of the parameters, and no task owns words. */
export const FREEZE = ["embeddings.*"];

export interface TrainingPlan {
  readonly steps: number;
  readonly examplesPerTask: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
}

/** One task, its head frozen. */
export const EXPERTS: TrainingPlan = {
  ...{ steps: 250, examplesPerTask: 32 },
  ...{ learningRate: 2e-4, warmupSteps: 20, weightDecay: 0.01, clipNorm: 1 },
};

/** All eight tasks in every batch; each task's texts together are as many as its expert saw. */
export const MULTITASK: TrainingPlan = { ...EXPERTS, steps: 1000, examplesPerTask: 8, warmupSteps: 50 };

/** Experts trained as LoRA on all linear layers, beside EXPERTS: for what merging makes of such task vectors. */
export const LORA: TrainingPlan & { readonly lora: LoraOptions } = {
  ...{ ...EXPERTS, steps: 300, learningRate: 1e-3 },
  lora: { rank: 8, alpha: 16 },
};

export interface ExpertSeed {
  readonly seed: number;
  /** Folder of what ships, under datasets/text8. */
  readonly folder: string;
  /** Of the truncated task vectors. */
  readonly rank: number;
}

export const SEEDS: readonly ExpertSeed[] = [
  { seed: 1, folder: "experts", rank: 32 },
  { seed: 2, folder: "experts-seed2", rank: 16 },
];

/** Experts of the tasks that are never merged: nothing is made of their task vectors. */
export const UNSEEN_EXPERTS: ExpertSeed = { seed: 1, folder: "experts-unseen", rank: 16 };

/** It learned eight tasks: more of its change lies behind the leading directions than of an expert's. */
export const MULTITASK_RANK = 64;

/** Folder under datasets/text8 of the experts before truncation, which do not ship. */
export const FULL = "full";

/**
 * Folder under datasets/text8 of the experts trained as LoRA, of seed 1, which do not ship either. Three parts deep with a task's name: `lora/books`
 * would be a repository on the hub as long as the folder is not there.
 */
export const LORA_EXPERTS = { seed: 1, folder: "lora/experts" };
