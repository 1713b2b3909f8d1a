/**
 * `compare text-fit`: Adam steps on layer-wise coefficients of a BERT of yours with three experts that the script fine-tunes, by a PyTorch loop
 * (`text-encoders.py`, in float32 and float64) and by us, on the same texts. N tensors, K experts, T tokens.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { buildBundle } from "../../dist/checkpoint/build-bundle.js";
import type { Bundle } from "../../dist/checkpoint/bundle.js";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import type { Engine } from "../../dist/engine/program.js";
import type { Model } from "../../dist/model/family.js";
import type { Head } from "../../dist/model/heads.js";
import { objectives } from "../../dist/objective/objectives.js";
import { initAdam, stepAdam } from "../../dist/optimize/adam.js";
import {
  STEP_INPUT_COEFFICIENTS,
  STEP_OUTPUT_GRADIENT,
  STEP_OUTPUT_LOSSES,
  stepProgram,
  stepSources,
} from "../../dist/optimize/step-program.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { openTextModel, paddedInputs } from "./our-text-model.js";
import { relativeError } from "./relative-error.js";

const SCRIPT = join(import.meta.dirname, "text-encoders.py");
/** What is asked of coefficients, in absolute terms. */
const MOST = 1e-4;
/** A key's bias adds one number to all scores of a softmax row: its exact gradient is 0, and Adam divides rounding noise by its own size. */
const WITHOUT_EFFECT = /attention\.(?:self\.key|k_lin)\.bias$/;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

const problemSchema = z.object({
  tensors: z.array(z.string()),
  classes: z.array(z.int()),
  batch: z.int(),
  tokens: z.int(),
  texts: z.array(z.array(z.array(z.int()))),
  logit_scale: z.number(),
  start: z.number(),
  learning_rate: z.number(),
});
type Problem = z.infer<typeof problemSchema>;

interface Arguments {
  readonly python: string | undefined;
  readonly model: string;
  readonly steps: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const textFitCommand: CommandModule<object, Arguments> = {
  command: "text-fit",
  describe: "Adam steps on layer-wise coefficients of a BERT, by a PyTorch loop and by us",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers (default: python3)" })
      .option("model", { type: "string", demandOption: true, describe: "The folder of a BERT" })
      .option("steps", { type: "number", default: 50, describe: "Steps" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, model: path, steps, threads }: Arguments) {
  const packages = ["torch", "transformers", "safetensors"];
  const needs = { asked, modules: packages, packages, target: "text-fit", threads };
  const model = resolve(path);
  return engineBesidePython(needs, async ({ engine, folder, versions, python }) => {
    python([SCRIPT, "fit", folder, model, String(steps)]);
    const problem = problemSchema.parse(JSON.parse(await readFile(join(folder, "fit.json"), "utf8")));
    const expected = await openCheckpoint(join(folder, "fit.safetensors"));
    const weights = await Promise.all(problem.classes.map((_, k) => expected.readFloat32(`${k}.weight`)));
    const ours = await fit(engine, { folder, model, steps }, problem, weights);
    const against = async (label: string) => {
      const losses = await expected.readFloat32(`${label}.losses`);
      return {
        coefficients_after_each_step: largestDifferences(
          ours.lambdas,
          await expected.readFloat32(`${label}.lambda`),
          problem,
        ),
        losses: Math.max(...ours.losses.map((loss, index) => Math.abs(loss - (losses[index] ?? Number.NaN)))),
        gradient_of_first_step: relativeError(ours.gradient, await expected.readFloat32(`${label}.gradient`)),
      };
    };
    const [single, double] = [await against("f32"), await against("f64")];
    const largest = Math.max(...single.coefficients_after_each_step, ...double.coefficients_after_each_step);
    const last = ours.lambdas.slice(-problem.tensors.length * problem.classes.length);
    return {
      what: "layer-wise coefficients of three experts by the entropy of predictions, torch.optim.Adam's and ours; largest absolute differences, after 1, 10, 20, ... steps",
      command: `npm run compare -- text-fit --python PYTHON --model ${basename(model)} --steps ${steps} --threads ${threads}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      tensors: problem.tensors.length,
      experts: problem.classes.length,
      texts_per_step: problem.batch * problem.classes.length,
      tokens: problem.tokens,
      coefficients_at_the_end: { least: Math.min(...last), most: Math.max(...last) },
      losses_nats: { first: ours.losses.slice(0, 3), last: ours.losses.slice(-3) },
      to_float32: single,
      to_float64: double,
      left_out: "biases of keys, whose exact gradient is 0",
      asked_at_most: MOST,
      as_asked: largest < MOST,
    };
  });
}

interface Place {
  readonly folder: string;
  readonly model: string;
  readonly steps: number;
}

/** Losses of every step and task, coefficients [N, K] after every step, both in the script's order of tensors, and the first gradient. */
async function fit(engine: Engine, place: Place, problem: Problem, weights: readonly Float32Array[]) {
  const { checkpoint: base, model } = await openTextModel(
    place.model,
    { pooling: "mean", normalized: true },
    problem.tokens,
  );
  const bundle = await bundleOf(place, base, model, problem);
  const heads = problem.classes.map(
    (classes, k): Head => ({
      task: String(k),
      classes,
      featureSize: model.featureSize,
      logitScale: problem.logit_scale,
      weight: weights[k] ?? new Float32Array(),
      bias: new Float32Array(classes),
    }),
  );
  const step = await engine.compile(
    stepProgram({
      bundle,
      model,
      heads,
      examplesPerTask: problem.batch,
      taskWeight: 1,
      loss: (logits) => objectives.entropy.loss(logits, { form: "log_softmax", epsilon: 0 }),
    }),
  );
  await step.bind(stepSources({ bundle, heads }));
  const rows = bundle.tensors.map(({ name }) => problem.tensors.indexOf(name));
  const tasks = heads.length;
  const toScript = (valuesNK: ArrayLike<number>): Float64Array => {
    const ordered = new Float64Array(valuesNK.length).fill(Number.NaN);
    for (const [row, at] of rows.entries())
      for (let k = 0; k < tasks; k++) ordered[at * tasks + k] = valuesNK[row * tasks + k] ?? Number.NaN;
    return ordered;
  };
  let parameters = new Float64Array(rows.length * tasks).fill(problem.start);
  let state = initAdam(parameters.length);
  const [losses, lambdas]: [number[], number[]] = [[], []];
  let gradient: Float64Array = new Float64Array();
  for (let index = 0; index < place.steps; index++) {
    const texts = problem.texts.flatMap((own) =>
      Array.from({ length: problem.batch }, (_, row) => own[(index * problem.batch + row) % own.length] ?? []),
    );
    const outputs = await step.run(
      new Map([
        [STEP_INPUT_COEFFICIENTS, Float32Array.from(parameters)],
        ...paddedInputs(model, texts, problem.tokens),
      ]),
    );
    const slopes = outputs.get(STEP_OUTPUT_GRADIENT) ?? new Float32Array();
    if (index === 0) gradient = toScript(slopes);
    const next = stepAdam(state, parameters, slopes, problem.learning_rate, ADAM);
    parameters = Float64Array.from(next.parameters);
    state = next.state;
    losses.push(...(outputs.get(STEP_OUTPUT_LOSSES) ?? []));
    lambdas.push(...toScript(parameters));
  }
  await step.close();
  return { losses, lambdas, gradient };
}

async function bundleOf(
  { folder }: Place,
  base: Awaited<ReturnType<typeof openCheckpoint>>,
  model: Model,
  { classes }: Problem,
): Promise<Bundle> {
  const experts = await Promise.all(
    classes.map(async (_, k) => ({
      task: String(k),
      checkpoint: await openCheckpoint(join(folder, "experts", String(k))),
    })),
  );
  return buildBundle({
    base,
    experts,
    tensors: model.tensors,
    layout: model.layout,
    cacheDir: join(folder, "cache"),
    dtype: "F32",
  });
}

/** After the first and every tenth step; of tensors with an effect. */
function largestDifferences(ours: readonly number[], expected: Float32Array, { tensors, classes }: Problem): number[] {
  const size = tensors.length * classes.length;
  const counted = tensors.map((name) => !WITHOUT_EFFECT.test(name));
  const steps = Array.from({ length: expected.length / size }, (_, step) => step);
  return steps
    .filter((step) => step === 0 || (step + 1) % 10 === 0)
    .map((step) => {
      let most = 0;
      for (let index = 0; index < size; index++) {
        if (counted[Math.floor(index / classes.length)] !== true) continue;
        const [a, b] = [ours[step * size + index] ?? Number.NaN, expected[step * size + index] ?? Number.NaN];
        most = Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.max(most, Math.abs(a - b));
      }
      return most;
    });
}
