/** Computes one cell: merges by a method, or fits, and judges the model. */
import { kindOf } from "../data/kinds.js";
import type { Evaluation } from "../optimize/evaluate.js";
import { stepsAsPiece, type TrainEvent } from "../optimize/events.js";
import { fit } from "../run/fit/fit.js";
import { type ChosenMethod, chooseMethod } from "../run/judge/choose-method.js";
import { type Judged, judgeMethod, scoredEvaluations } from "../run/judge/judge-models.js";
import type { Inputs } from "../run/session/inputs.js";
import { type SessionOptions, withSession } from "../run/session/session.js";
import type { Cell } from "./cells.js";
import type { CellResult } from "./results.js";

/** The cell's result. Throws when the signal aborts: a cell is whole or not there. */
export async function runCell(cell: Cell, options: SessionOptions): Promise<CellResult> {
  const started = performance.now();
  const partial = cell.row.fit === undefined ? await runMethod(cell, options) : await runFit(cell, options);
  return { key: cell.key, ...partial, seconds: (performance.now() - started) / 1000 };
}

type Partial = Omit<CellResult, "key" | "seconds">;

async function runMethod({ row, config }: Cell, options: SessionOptions): Promise<Partial> {
  const chosen = chooseMethod(row.method ?? "", row.settings);
  return withSession(config, options, async ({ inputs, evaluation }) => ({
    ...judgedFacts(await judgeMethod(config, inputs, chosen, evaluation)),
    examples: kindOf(inputs.encoder.kind).many,
    ...imagesOf(chosen, inputs),
    extraBytes: extraBytesOf(chosen, inputs),
  }));
}

/** Of the methods that look at examples: so many of each task, once. */
function imagesOf(chosen: ChosenMethod, { tasks }: Inputs): Pick<CellResult, "imagesPresented" | "imagesUnique"> {
  const examples =
    chosen.kind === "merge" && chosen.method.needsImages === true ? Number(chosen.parameters.examples) : 0;
  return { imagesPresented: examples * tasks.length, imagesUnique: examples * tasks.length };
}

/** What must be kept beside one model of this size to answer for every task. */
function extraBytesOf(chosen: ChosenMethod, { bundle }: Inputs): number {
  const tasks = bundle.tasks.length;
  const elementsOf = (tensors: Inputs["bundle"]["tensors"]): number =>
    tensors.reduce((sum, { shape }) => sum + shape.reduce((size, dim) => size * dim, 1), 0);
  const merged = elementsOf(bundle.tensors.filter(({ taskVectors }) => taskVectors !== undefined));
  if (chosen.kind === "merge") return chosen.method.extraBytes?.(merged, tasks) ?? 0;
  const isManyModels = chosen.name === "individual" || chosen.name === "logit_ensemble";
  return isManyModels ? (tasks - 1) * merged * Float32Array.BYTES_PER_ELEMENT : 0;
}

async function runFit({ row, config }: Cell, options: SessionOptions): Promise<Partial> {
  const curve: NonNullable<CellResult["curve"]> = [];
  let [imagesPerStep, steps, examples] = [0, 0, ""];
  const tellSteps = stepsAsPiece(options.onProgress, `fitting ${row.name}`);
  const onEvent = (event: TrainEvent): void => {
    tellSteps(event);
    if (event.type === "start") ({ imagesPerStep, examples } = event);
    if (event.type === "end") steps = event.step;
    if (event.type !== "evaluation" || event.labelled === undefined) return;
    const { accuracyPercent, averagePercent } = event.labelled;
    const accuracies = event.tasks.map((task, index): [string, number] => [task, accuracyPercent[index] ?? Number.NaN]);
    curve.push({ step: event.step, average: averagePercent, tasks: Object.fromEntries(accuracies) });
  };
  const { judged, imagesUnique, headBytes } = await fit(config, { ...options, overwrite: true, compared: [], onEvent });
  const [learned] = judged;
  options.signal.throwIfAborted();
  if (learned === undefined) throw new Error("the fit ended without a result");
  curve.push({ step: steps, average: learned.row.average, tasks: { ...learned.row.tasks } });
  const imagesPresented = steps * imagesPerStep;
  return {
    ...judgedFacts(learned),
    curve,
    examples,
    imagesPresented,
    imagesUnique: Math.min(imagesPresented, imagesUnique),
    extraBytes: headBytes,
  };
}

function judgedFacts({
  row,
  evaluations,
}: Judged): Pick<CellResult, "tasks" | "entropyNats" | "calibrationPercent" | "hits" | "predictions"> {
  const byTask = <T>(of: (evaluation: Evaluation) => T): Record<string, T> =>
    Object.fromEntries([...scoredEvaluations(evaluations)].map(([task, evaluation]) => [task, of(evaluation)]));
  return {
    tasks: { ...row.tasks },
    entropyNats: byTask(({ entropyNats }) => entropyNats),
    calibrationPercent: byTask(({ calibrationPercent }) => calibrationPercent),
    hits: byTask(({ hits }) => hits.join("")),
    predictions: byTask(({ predictions }) => [...predictions]),
  };
}
