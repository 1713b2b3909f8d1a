/**
 * A fine-tuning from beginning to end: open base and data, make the head, train, measure on what is held out, save the
 * model. The loop itself is optimize/fine-tune/; here is what it is given and what becomes of it.
 */
import { join } from "node:path";
import { FINETUNE_EXPERIMENT, type FinetuneConfig, formatFinetune } from "../../config/finetune.js";
import { ConfigError } from "../../errors.js";
import { writeHeadFile } from "../../model/head-file.js";
import { loadHead } from "../../model/heads.js";
import { fineTune } from "../../optimize/fine-tune/fine-tune.js";
import { stateStep } from "../../optimize/fine-tune/state.js";
import { isThere } from "../../runtime/is-there.js";
import { requireApart } from "../../runtime/output-place.js";
import { readFinetuneRun } from "../../track/read-run.js";
import { reopenNotedRun } from "../../track/reopen-run.js";
import { createRunFolder, folderOf, requireRunPlace } from "../../track/run-folder.js";
import type { FinetuneResult } from "./finish-run.js";
import { STATE_FILE } from "./noted-steps.js";
import { HEAD_FILE, trainIn } from "./train-run.js";
import { type FinetuneOptions, firstHead, taskOf, tuningOf, withTraining } from "./training.js";

/** What a fine-tuning would be. */
export interface FinetunePlan {
  readonly task: string;
  readonly classes: readonly string[];
  readonly examples: { readonly train: number; readonly held: number; readonly test: number };
  readonly steps: number;
  readonly learningRate: number;
  readonly trainedTensors: number;
  readonly trainedParameters: number;
  readonly stepSeconds: number;
  readonly trainingSeconds: number;
}

/** The first step is slower than those that follow. */
const TIMED_STEPS = 2;

/**
 * Fine-tunes `config.base` on `config.data` and writes a run folder. An abort ends the run as interrupted, an error as
 * failed with its reason; in both cases the last state whose loss was finite is in the folder, and so is the best model
 * so far. Throws UserErrors for what a person can put right, before the training where it can be known then.
 */
export async function finetune(config: FinetuneConfig, options: FinetuneOptions): Promise<FinetuneResult> {
  const place = placeOf(config);
  const folder = folderOf(place);
  await requireApart(folder, folder, inputsOf(config));
  await requireRunPlace({ ...place, overwrite: options.overwrite });
  return withTraining(config, options, async (training) => {
    const head = await firstHead(training, options);
    const run = await createRunFolder({
      ...{ ...place, config: formatFinetune(config), overwrite: options.overwrite, inputs: {} },
      lock: { onWait: options.log, signal: options.signal },
    });
    await writeHeadFile(join(run.path, HEAD_FILE), head, {});
    return trainIn({ run, step: 0, notes: [] }, head, training, options);
  });
}

/**
 * Goes on with a run that stopped, with its own settings, and ends with the bits of one that did not. Throws ConfigError
 * for a folder that is no such run, or whose model or data have changed.
 */
export async function resumeFinetune(runPath: string, options: FinetuneOptions): Promise<FinetuneResult> {
  const { config, status } = await readFinetuneRun(runPath);
  if (status.state === "finished")
    throw new ConfigError(
      `${runPath}: expected a run that stopped, found one that is finished: its model is in ${join(runPath, "model")}`,
    );
  return withTraining(config, options, async (training) => {
    const headPath = join(runPath, HEAD_FILE);
    const shape = { task: training.task, classes: training.data.classes.length };
    const isKept = await isThere(headPath);
    const head = isKept
      ? await loadHead(headPath, { ...shape, featureSize: training.base.model.featureSize })
      : await firstHead(training, options);
    const { folder, step, notes } = await reopenNotedRun(runPath, {
      stepAt: () => stateStep(join(runPath, STATE_FILE)),
      log: options.log,
      lock: { onWait: options.log, signal: options.signal },
    });
    options.log(`${runPath}: goes on after step ${step} of ${training.chosen.schedule.steps}`);
    if (!isKept) await writeHeadFile(headPath, head, {});
    return trainIn({ run: folder, step, notes }, head, training, options);
  });
}

/** Checks everything and times a step; nothing is written but the cache. Throws what `finetune` would throw before its first step. */
export async function planFinetune(config: FinetuneConfig, options: FinetuneOptions): Promise<FinetunePlan> {
  return withTraining(config, options, async (training) => {
    const { chosen, data, task } = training;
    const head = await firstHead(training, options);
    let stepSeconds = 0;
    let trained = { trainedTensors: 0, trainedParameters: 0 };
    for await (const event of fineTune(tuningOf(training, head, options))) {
      if (event.type === "start") trained = event;
      if (event.type !== "step") continue;
      stepSeconds = event.seconds;
      if (event.step >= TIMED_STEPS) break;
    }
    const { steps, learningRate } = chosen.schedule;
    const { trainedTensors, trainedParameters } = trained;
    return {
      ...{ task, classes: data.classes, steps, learningRate, trainedTensors, trainedParameters, stepSeconds },
      examples: { train: data.train.size, held: data.held?.size ?? 0, test: data.test?.size ?? 0 },
      trainingSeconds: steps * stepSeconds,
    };
  });
}

function placeOf(config: FinetuneConfig) {
  return { root: config.output, experiment: FINETUNE_EXPERIMENT, name: config.name ?? taskOf(config) };
}

function inputsOf({ base, data, head }: FinetuneConfig) {
  return [
    { path: base, what: "the base" },
    { path: data, what: "the data" },
    ...(head.text_model === null ? [] : [{ path: head.text_model, what: "the text model" }]),
  ];
}
