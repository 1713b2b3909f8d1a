/**
 * `compare fine-tune`: the encoder of a BERT of yours fine-tuned under a frozen head by an independent PyTorch loop
 * (`fine-tune.py`) and by us, on the same batches of texts of different lengths, by turns: how far losses and weights
 * lie apart, and what a step takes of each.
 */
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import type { LabelledExamples } from "../../dist/data/examples.js";
import { batchIndices } from "../../dist/data/sampler.js";
import type { Engine } from "../../dist/engine/program.js";
import { fineTune } from "../../dist/optimize/fine-tune/fine-tune.js";
import type { FineTuned } from "../../dist/optimize/fine-tune/options.js";
import { modelWeights } from "../../dist/run/suite/stored-weights.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { openTextModel, paddedInputs } from "./our-text-model.js";

const SCRIPT = join(import.meta.dirname, "fine-tune.py");
/** What is asked of weights, in absolute terms. */
const MOST = 1e-4;
/**
 * A key's bias adds one number to all scores of a softmax row: its exact gradient is 0, and Adam divides rounding noise
 * by its own size.
 */
const WITHOUT_EFFECT = /key\.bias$/;
const TASK = "texts";
const SETTINGS = { rate: 2e-4, decay: 0.01, clip: 1, batch: 32, seed: 5 } as const;
/** As many steps of a long training; fewer of a short one. */
const MOST_WARMUP = 20;

const dataSchema = z.object({
  tokens: z.array(z.array(z.int())),
  labels: z.array(z.int()),
  head: z.array(z.number()),
  classes: z.int(),
  longest: z.int(),
  scale: z.number(),
});
const measuredSchema = z.object({
  losses: z.array(z.number()),
  norms: z.array(z.number()),
  seconds: z.array(z.number()),
  processor_seconds: z.array(z.number()),
});
type Measured = z.infer<typeof measuredSchema>;

interface Arguments {
  readonly python: string | undefined;
  readonly model: string;
  readonly steps: number;
  readonly turns: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const fineTuneCommand: CommandModule<object, Arguments> = {
  command: "fine-tune",
  describe: "AdamW steps on the encoder of a BERT, by a PyTorch loop and by us: weights, losses and time",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers (default: python3)" })
      .option("model", { type: "string", demandOption: true, describe: "The folder of a BERT" })
      .option("steps", { type: "number", default: 50, describe: "Steps" })
      .option("turns", { type: "number", default: 1, describe: "How often each trains, one after the other" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, model: path, steps, turns, threads }: Arguments) {
  const packages = ["torch", "transformers", "safetensors"];
  const needs = { asked, modules: packages, packages, target: "fine-tune", threads };
  const model = resolve(path);
  return engineBesidePython(needs, async ({ engine, folder, versions, python }) => {
    python([SCRIPT, "data", folder, model]);
    const data = dataSchema.parse(JSON.parse(await readFile(join(folder, "data.json"), "utf8")));
    const warmup = Math.min(MOST_WARMUP, Math.ceil(steps / 5));
    const order = Array.from({ length: steps }, (_, step) => [
      ...batchIndices({
        ...{ seed: SETTINGS.seed, task: TASK, step },
        batchSize: SETTINGS.batch,
        size: data.labels.length,
      }),
    ]);
    await writeFile(join(folder, "plan.json"), JSON.stringify({ ...SETTINGS, warmup, threads, order }));
    const [theirs, ours]: [Measured[], Awaited<ReturnType<typeof train>>[]] = [[], []];
    for (let turn = 0; turn < turns; turn++) {
      python([SCRIPT, "train", folder, model]);
      theirs.push(measuredSchema.parse(JSON.parse(await readFile(join(folder, "trained.json"), "utf8"))));
      ours.push(await train(engine, model, data, { steps, warmup }));
    }
    const expected = await openCheckpoint(join(folder, "trained.safetensors"));
    const { result, measured } = ours[0] ?? (await train(engine, model, data, { steps, warmup }));
    const apart = await differences(result, (name) => expected.readFloat32(name));
    const times = (all: readonly Measured[], what: "seconds" | "processor_seconds") =>
      median(all.flatMap((one) => one[what].slice(2)));
    const measures = ours.map((one) => one.measured);
    const largest = (what: "losses" | "norms") =>
      Math.max(...measured[what].map((value, at) => Math.abs(value - (theirs[0]?.[what][at] ?? Number.NaN))));
    return {
      what: "the encoder fine-tuned under a frozen head: torch.optim.AdamW's weights and losses and ours, largest absolute differences; medians of a step's time, without the first two of each training",
      command: `npm run compare -- fine-tune --python PYTHON --model ${basename(model)} --steps ${steps} --turns ${turns} --threads ${threads}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      settings: { ...SETTINGS, warmup, tokens: data.longest, schedule: "cosine" },
      trained_parameters: [...result.tensors.values()].reduce((sum, { length }) => sum + length, 0),
      losses_nats: { first: measured.losses[0], last: measured.losses.at(-1) },
      weights: apart.effective,
      weights_that_moved_by: apart.moved,
      biases_of_keys: apart.withoutEffect,
      losses: largest("losses"),
      norms: largest("norms"),
      seconds_per_step: { pytorch: times(theirs, "seconds"), ours: times(measures, "seconds") },
      processor_seconds_per_step: {
        pytorch: times(theirs, "processor_seconds"),
        ours: times(measures, "processor_seconds"),
      },
      asked_at_most: MOST,
      as_asked: apart.effective < MOST,
    };

    /** Largest differences to the script's weights, and the largest change since the start. */
    async function differences(found: FineTuned, read: (name: string) => Promise<Float32Array>) {
      const base = await openTextModel(model, { pooling: "mean", normalized: true }, data.longest);
      const start = await modelWeights(base.checkpoint, base.checkpoint, base.model);
      const most = { effective: 0, withoutEffect: 0, moved: 0 };
      for (const [name, values] of found.tensors) {
        const [theirs, before] = [await read(name), start.get(name)];
        const kind = WITHOUT_EFFECT.test(name) ? "withoutEffect" : "effective";
        for (const [at, value] of values.entries()) {
          most[kind] = Math.max(most[kind], Math.abs(value - (theirs[at] ?? Number.POSITIVE_INFINITY)));
          most.moved = Math.max(most.moved, Math.abs(value - (before?.[at] ?? 0)));
        }
      }
      return most;
    }
  });
}

async function train(
  engine: Engine,
  folder: string,
  data: z.infer<typeof dataSchema>,
  { steps, warmup }: { readonly steps: number; readonly warmup: number },
) {
  const { checkpoint, model } = await openTextModel(folder, { pooling: "mean", normalized: true }, data.longest);
  const store: LabelledExamples = {
    ...{ kind: "text", name: TASK, size: data.labels.length, labels: Int32Array.from(data.labels) },
    lengths: Int32Array.from(data.tokens, ({ length }) => length),
    gather: (indices, length = data.longest) =>
      paddedInputs(
        model,
        [...indices].map((index) => data.tokens[index] ?? []),
        length,
      ),
  };
  const training = fineTune({
    ...{ engine, model, seed: SETTINGS.seed, trainHeads: false, clock: () => performance.now() },
    weights: await modelWeights(checkpoint, checkpoint, model),
    freeze: ["embeddings.*"],
    tasks: [
      {
        ...{ name: TASK, store, examplesPerStep: SETTINGS.batch },
        head: {
          ...{ task: TASK, classes: data.classes, featureSize: model.featureSize, logitScale: data.scale },
          weight: Float32Array.from(data.head),
          bias: new Float32Array(data.classes),
        },
      },
    ],
    schedule: { schedule: "cosine", learningRate: SETTINGS.rate, warmupSteps: warmup, steps },
    adamw: { weightDecay: SETTINGS.decay },
    clipNorm: SETTINGS.clip,
  });
  const measured: Measured = { losses: [], norms: [], seconds: [], processor_seconds: [] };
  let used = process.cpuUsage();
  for (;;) {
    const next = await training.next();
    if (next.done === true) return { result: next.value, measured };
    if (next.value.type !== "step") continue;
    const { user, system } = process.cpuUsage(used);
    used = process.cpuUsage();
    measured.processor_seconds.push((user + system) / 1e6);
    measured.losses.push(next.value.loss);
    measured.norms.push(next.value.gradientNorm);
    measured.seconds.push(next.value.seconds);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
