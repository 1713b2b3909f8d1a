/**
 * Our side of `compare fusionbench`, as a process: the trainer on a run config, as `adamerge fit` runs it, but a few steps at a time and without a run folder.
 * Requests: `open`, `step`, `evaluate`; coefficients [K, L] are given after every step.
 */
import { join } from "node:path";
import { loadRunConfig } from "../../dist/config/load.js";
import { createClassifier, createEngine, initTrainState, toTensorCoefficients, train } from "../../dist/internal.js";
import type { CoefficientMatrix } from "../../dist/merge/coefficients.js";
import type { TrainEvent } from "../../dist/optimize/events.js";
import { coefficientsOf, type TrainResult } from "../../dist/optimize/train.js";
import { compileStep, trainOptions } from "../../dist/run/fit/training.js";
import { evaluateMerged, scoredEvaluations } from "../../dist/run/judge/judge-models.js";
import { loadInputs, loadLabelled, loadUnlabelled } from "../../dist/run/session/inputs.js";
import { serve } from "../bench/peer.js";

const [presetsDir = "", preset = "", overrides = "[]", cacheDir = ""] = process.argv.slice(2);
const { signal } = new AbortController();
const log = (line: string): boolean => process.stderr.write(`${line}\n`);

async function open() {
  const file = join(presetsDir, `${preset}.yaml`);
  const { config } = await loadRunConfig(file, JSON.parse(overrides), { presetsDir, cwd: process.cwd() });
  const inputs = await loadInputs(config, { cacheDir, log });
  const { engine } = await createEngine(config);
  const [step, examples] = await Promise.all([
    compileStep(engine, inputs, config),
    loadUnlabelled(inputs, config.data.adapt_split, cacheDir),
  ]);
  const evaluate = async () => [];
  const training = trainOptions(
    config,
    engine,
    inputs,
    { examples, targets: new Map() },
    {
      ...{ step, evaluate, signal, heads: inputs.heads },
    },
  );
  const events = train(training, initTrainState(training));
  return { config, inputs, engine, training, events, coefficients: new Float64Array() as CoefficientMatrix };
}

/** Milliseconds of each step and the coefficients after it, and the CPU time of all of them, threads included. The trainer gives its state with a checkpoint, which is asked for after every step. */
async function runSteps(opened: Awaited<ReturnType<typeof open>>, count: number) {
  const { events, training } = opened;
  const cpuBegin = process.cpuUsage();
  const ms: number[] = [];
  const trajectory: number[][] = [];
  while (ms.length < count) {
    const begin = performance.now();
    let next: IteratorResult<TrainEvent, TrainResult> = await events.next();
    while (!next.done && next.value.type !== "checkpoint") next = await events.next();
    if (next.done)
      throw new Error(`the fit ended (${next.value.reason}) before all steps: ${next.value.failure?.message}`);
    if (next.value.type !== "checkpoint" || !("rawKL" in next.value.state))
      throw new Error("a fit without checkpoints of coefficients");
    ms.push(performance.now() - begin);
    opened.coefficients = coefficientsOf(next.value.state, training.tasks.length, training.constraint);
    trajectory.push([...opened.coefficients]);
  }
  const { user, system } = process.cpuUsage(cpuBegin);
  return { ms, cpuMs: (user + system) / 1000, trajectory };
}

async function accuracies({ config, inputs, engine, coefficients }: Awaited<ReturnType<typeof open>>) {
  const { eval_split: split, eval_batch_size: batchSize } = config.data;
  if (split === null) throw new Error("data.eval_split is needed");
  const classifier = await createClassifier(engine, {
    model: inputs.model,
    heads: inputs.heads,
    batchSize,
  });
  const examples = await loadLabelled(inputs, inputs.tasks, split, cacheDir);
  const coefficientsNK = toTensorCoefficients(coefficients, inputs.grouping, inputs.tasks.length);
  const judged = await evaluateMerged(inputs, coefficientsNK, { classifier, examples, limit: undefined, signal });
  await classifier.close();
  return Object.fromEntries([...scoredEvaluations(judged)].map(([task, found]) => [task, found.accuracyPercent]));
}

let opened: Awaited<ReturnType<typeof open>> | undefined;
await serve(async (request) => {
  if (request.kind === "open") {
    opened = await open();
    const { tasks, groups } = { tasks: opened.training.tasks, groups: opened.inputs.grouping.groups };
    return { tasks, groups, secondsToFirstStep: performance.now() / 1000 };
  }
  if (opened === undefined) throw new Error("open comes first");
  if (request.kind === "step") return runSteps(opened, Number(request.count));
  if (request.kind === "evaluate") return { accuracies: await accuracies(opened) };
  throw new Error(`unknown request ${String(request.kind)}`);
});
await opened?.training.step.close();
await opened?.engine.close();
