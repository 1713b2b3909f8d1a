/**
 * Does lower entropy mean fewer errors here? The cosine, along a fit, of two gradients with respect to the coefficients [K, L]: of what the fit minimises, and of the cross-entropy
 * of the true classes, on the same images of the judged split. For the report alone: the optimiser sees neither. The gradients are those of the values that merge the
 * weights, so that coefficients at an end of the clamp count too.
 */
import { judgedSplit } from "../../config/judged-split.js";
import type { RunConfig } from "../../config/schema.js";
import { assert } from "../../errors.js";
import { type CoefficientMatrix, toGroupGradient, toTensorCoefficients } from "../../merge/coefficients.js";
import { longestLength, stepInputs } from "../../optimize/step-inputs.js";
import { STEP_INPUT_COEFFICIENTS, STEP_OUTPUT_GRADIENT } from "../../optimize/step-program.js";
import { together } from "../../runtime/together.js";
import type { Session } from "../session/session.js";
import { loadLearningData } from "./learning-data.js";
import { compileStep } from "./training.js";

export interface GradientAgreement {
  /** The cosine at these coefficients, -1 to 1; 0 where a gradient is zero. */
  cosine(valuesKL: CoefficientMatrix): Promise<number>;
  close(): Promise<void>;
}

/** Compiles both gradients; undefined where the config asks for none. Throws DataError for a judged split without labels. */
export async function gradientAgreement(
  config: RunConfig,
  session: Session,
  cacheDir: string,
): Promise<GradientAgreement | undefined> {
  const images = config.data.gradient_images;
  if (images === 0) return undefined;
  const ofSplit = { adapt_split: judgedSplit(config), adapt_limit: null };
  const data = { ...config.data, ...ofSplit, batch_size: images, batches_per_task: 1 };
  // Nothing is held out of what is judged.
  const minimised = { ...config, data, stopping: { ...config.stopping, rule: "none" as const } };
  const labelled = { ...minimised, objective: { ...config.objective, name: "cross_entropy" as const } };
  const gradients = await together<Awaited<ReturnType<typeof gradientOf>>[]>(
    [minimised, labelled].map((objective) => (stop) => gradientOf(objective, session, cacheDir, images, stop)),
    session.evaluation.signal,
  );
  return {
    cosine: async (valuesKL) => {
      const found: CoefficientMatrix[] = [];
      for (const { at } of gradients) found.push(await at(valuesKL));
      const [a, b] = found;
      assert(a !== undefined && b !== undefined, "two gradients");
      return cosine(a, b);
    },
    close: async () => {
      for (const { step } of gradients) await step.close();
    },
  };
}

async function gradientOf(
  config: RunConfig,
  session: Session,
  cacheDir: string,
  examplesPerTask: number,
  stop: AbortSignal,
) {
  const { engine, inputs } = session;
  const tasks = inputs.bundle.tasks.length;
  const { examples, targets } = await loadLearningData(config, session, cacheDir, stop);
  const { lengths } = inputs.model;
  const step = await compileStep(engine, inputs, config, longestLength(lengths, examples));
  // The same examples at every evaluation.
  const sample = stepInputs(examples, targets, { examplesPerTask, seed: config.seed, step: 0, lengths });
  return {
    step,
    at: async (valuesKL: CoefficientMatrix): Promise<CoefficientMatrix> => {
      const coefficientsNK = toTensorCoefficients(valuesKL, inputs.grouping, tasks);
      const outputs = await step.run(new Map([[STEP_INPUT_COEFFICIENTS, coefficientsNK], ...sample]));
      const perTensorNK = outputs.get(STEP_OUTPUT_GRADIENT);
      assert(perTensorNK !== undefined, "the compiled step lacks its gradient");
      return toGroupGradient(perTensorNK, inputs.grouping, tasks);
    },
  };
}

function cosine(a: CoefficientMatrix, b: CoefficientMatrix): number {
  const lengths = Math.hypot(...a) * Math.hypot(...b);
  return lengths === 0 ? 0 : a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0) / lengths;
}
