/**
 * The models of text8, each kept once it is finished: base, heads, experts, multi-task model. What is trained is saved whole under
 * datasets/text8/full, which does not ship, and truncated into the adapter that does. Experts trained as LoRA are adapters from the start.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { findCompanions } from "../../../dist/checkpoint/companions.js";
import {
  type Checkpoint,
  type Engine,
  openCheckpoint,
  saveCheckpoint,
  writeSafetensors,
} from "../../../dist/internal.js";
import { saveTruncatedAdapter } from "../../../dist/merge/truncated-adapter.js";
import { type Head, loadHead } from "../../../dist/model/heads.js";
import { fineTune } from "../../../dist/optimize/fine-tune/fine-tune.js";
import type { LoraFactors, LoraOptions } from "../../../dist/optimize/fine-tune/lora.js";
import type { FineTuned, FineTuneTask } from "../../../dist/optimize/fine-tune/options.js";
import { saveLoraAdapter } from "../../../dist/optimize/fine-tune/save-lora-adapter.js";
import { removeFineTuneState } from "../../../dist/optimize/fine-tune/state.js";
import { ownTexts } from "../../../dist/run/heads/own-texts.js";
import { classPrompts } from "../../../dist/run/heads/zero-shot-heads.js";
import type { SuiteRecord } from "../suite-record.js";
import { SEED, type TextTaskPlan } from "./plan.js";
import { baseWeights, type TextBase, textExamples } from "./text-model.js";
import { readTrainTexts } from "./train-texts.js";
import { FREEZE, FULL, LOGIT_SCALE, LORA, type TrainingPlan } from "./training-plan.js";

export interface Workshop {
  readonly engine: Engine;
  /** datasets/text8 */
  readonly suiteDir: string;
  /** Training texts, and the states of unfinished trainings. */
  readonly workDir: string;
  readonly base: TextBase;
  readonly record: SuiteRecord;
  readonly log: (line: string) => void;
}

/** A minute or less of work is lost by a kill. */
const STATE_EVERY_STEPS = 100;
const LOG_EVERY_STEPS = 50;
const WEIGHTS = "model.safetensors";
const ADAPTER_WEIGHTS = "adapter_model.safetensors";
const BASE_NAME = "sentence-transformers/all-MiniLM-L6-v2";

/** Writes the package's model in float16, with all its other files, unless it is there. */
export async function makeBase(from: string, to: string, log: (line: string) => void): Promise<void> {
  if (existsSync(join(to, WEIGHTS))) return log("base: kept");
  await saveModel(to, await openCheckpoint(from), "F16", new Map());
  log("base: written in float16");
}

/** A model's folder again, with its other files: its floats in this type, and what was trained in their place. What it can compute is left out. */
async function saveModel(
  directory: string,
  { path, tensors, readFloat32 }: Checkpoint,
  dtype: "F16" | "F32",
  trained: ReadonlyMap<string, Float32Array>,
): Promise<void> {
  const { files } = await findCompanions(path, { own: [join(path, WEIGHTS)] });
  const floats = [...tensors].filter(([, tensor]) => tensor.dtype === "F32" || tensor.dtype === "F16");
  await saveCheckpoint(directory, {
    config: await readFile(join(path, "config.json"), "utf8"),
    companions: files.filter(({ name }) => name !== "config.json"),
    specs: floats.map(([name, { shape }]) => ({ name, shape, dtype })),
    data: async (name) => trained.get(name) ?? readFloat32(name),
    replace: true,
  });
}

const headPath = ({ suiteDir }: Pick<Workshop, "suiteDir">, task: string): string =>
  join(suiteDir, "heads", `${task}.safetensors`);

/** Zero-shot heads: the row of a class is the embedding of its name in the task's template, by the base as it ships. */
export async function makeHeads(workshop: Workshop, tasks: readonly TextTaskPlan[]): Promise<void> {
  const { engine, base, suiteDir, log } = workshop;
  await mkdir(join(suiteDir, "heads"), { recursive: true });
  const embedder = ownTexts({ base: base.checkpoint, model: base.model, encoder: base.encoder });
  for (const { name, template, classes } of tasks) {
    const path = headPath(workshop, name);
    if (existsSync(path)) continue;
    const prompts = classPrompts({ classes }, { templates: [template] }).flat();
    const data = await embedder.features(engine, prompts, {});
    await writeSafetensors(path, [
      { name: "weight", dtype: "F32", shape: [classes.length, base.model.featureSize], data },
    ]);
    log(`head of ${name}: ${classes.length} classes`);
  }
}

export function readHead(workshop: Pick<Workshop, "suiteDir" | "base">, task: TextTaskPlan): Promise<Head> {
  const { featureSize } = workshop.base.model;
  const shape = { task: task.name, classes: task.classes.length, featureSize };
  return loadHead(headPath(workshop, task.name), { ...shape, logitScale: LOGIT_SCALE });
}

export interface TrainedPart {
  /** Where it ships, under datasets/text8. */
  readonly part: string;
  readonly tasks: readonly TextTaskPlan[];
  readonly plan: TrainingPlan;
  readonly seed: number;
  readonly rank: number;
}

/** Fine-tunes the base on the tasks under their frozen heads, and truncates what it became. */
export async function makePart(workshop: Workshop, part: TrainedPart): Promise<void> {
  await trainFull(workshop, part);
  await truncate(workshop, part);
}

async function trainFull(workshop: Workshop, { part, tasks, plan, seed }: TrainedPart): Promise<void> {
  const { suiteDir, base, record, log } = workshop;
  const name = `${FULL}/${part}`;
  const directory = join(suiteDir, name);
  const settings = { ...plan, seed, tasks: tasks.map((task) => task.name), freeze: FREEZE };
  if (record.has(name, join(directory, WEIGHTS), settings)) return log(`${name}: kept`);
  // What ships is enough where nobody asks for the whole.
  if (record.knows(name, settings) && existsSync(join(suiteDir, part, ADAPTER_WEIGHTS))) return log(`${part}: kept`);
  await train(workshop, { name, state: part, tasks, plan, seed }, async ({ tensors, seconds, loss }) => {
    await saveModel(directory, base.checkpoint, "F32", tensors);
    await record.add(name, join(directory, WEIGHTS), { settings, seconds, loss });
  });
}

/** Trains factors of the base's matrices on one task under its frozen head, and writes them as an adapter. */
export async function makeLoraExpert(
  workshop: Workshop,
  part: string,
  task: TextTaskPlan,
  seed: number,
): Promise<void> {
  const { suiteDir, base, record, log } = workshop;
  const directory = join(suiteDir, part);
  const weights = join(directory, ADAPTER_WEIGHTS);
  const settings = { ...LORA, seed, tasks: [task.name] };
  if (record.has(part, weights, settings)) return log(`${part}: kept`);
  const training = { name: part, state: part, tasks: [task], plan: LORA, seed, lora: LORA.lora };
  await train(workshop, training, async ({ factors = new Map<string, LoraFactors>(), seconds, loss }) => {
    await saveLoraAdapter(directory, {
      ...{ base: base.checkpoint, model: base.model, factors, dtype: "F16", replace: true },
      ...{ baseName: BASE_NAME, taskType: "FEATURE_EXTRACTION" },
    });
    await record.add(part, weights, { settings, seconds, loss });
  });
}

interface Training extends Omit<TrainedPart, "part" | "rank"> {
  /** For the log. */
  readonly name: string;
  /** Names the file that an interrupted training resumes from. */
  readonly state: string;
  readonly lora?: LoraOptions;
}

/** `save` is given what was learned; the state stays until it is done. */
async function train(
  workshop: Workshop,
  { name, state, tasks, plan, seed, lora }: Training,
  save: (learned: FineTuned) => Promise<void>,
): Promise<void> {
  const { engine, workDir, base, log } = workshop;
  const { steps, learningRate, warmupSteps, weightDecay, clipNorm, examplesPerTask } = plan;
  const statePath = join(workDir, "states", `${state.replaceAll("/", "-")}.safetensors`);
  await mkdir(join(workDir, "states"), { recursive: true });
  const training = fineTune({
    engine,
    model: base.model,
    weights: await baseWeights(base),
    freeze: FREEZE,
    ...(lora === undefined ? {} : { lora }),
    trainHeads: false,
    tasks: await Promise.all(tasks.map((task) => trainingTask(workshop, task, examplesPerTask))),
    seed: SEED + seed,
    schedule: { schedule: "cosine", learningRate, warmupSteps, steps },
    adamw: { weightDecay },
    clipNorm,
    state: { path: statePath, everySteps: STATE_EVERY_STEPS },
    clock: () => performance.now(),
  });
  for (;;) {
    const { done, value } = await training.next();
    if (!done) {
      if (value.type === "step" && (value.step % LOG_EVERY_STEPS === 0 || value.step === steps))
        log(`${name} step ${value.step}/${steps} loss ${value.loss.toFixed(3)} ${value.seconds.toFixed(2)} s a step`);
      continue;
    }
    await save(value);
    return removeFineTuneState(statePath);
  }
}

async function trainingTask(workshop: Workshop, task: TextTaskPlan, examplesPerStep: number): Promise<FineTuneTask> {
  const texts = await readTrainTexts(workshop.workDir, task.name);
  const store = await textExamples(workshop.base, task.name, texts);
  return { name: task.name, store, examplesPerStep, head: await readHead(workshop, task) };
}

/** The full model's change as an adapter of a rank, whose error is recorded. */
async function truncate(workshop: Workshop, { part, rank }: TrainedPart): Promise<void> {
  const { suiteDir, base, record, log } = workshop;
  const settings = { rank, of: `${FULL}/${part}` };
  const weights = join(suiteDir, part, ADAPTER_WEIGHTS);
  if (record.has(part, weights, settings)) return;
  const started = performance.now();
  const { error, truncated } = await saveTruncatedAdapter(join(suiteDir, part), {
    base: base.checkpoint,
    model: await openCheckpoint(join(suiteDir, FULL, part)),
    rank,
    dtype: "F16",
    baseName: BASE_NAME,
    taskType: "FEATURE_EXTRACTION",
    replace: true,
  });
  const seconds = (performance.now() - started) / 1000;
  await record.add(part, weights, { settings, seconds, error });
  log(
    `${part}: rank ${rank} misses ${(100 * error).toFixed(1)} % of the task vector's norm (${truncated.length} matrices, ${seconds.toFixed(0)} s)`,
  );
}
