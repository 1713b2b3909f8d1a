/**
 * Our side of `bench step`, as a process: the engine, step, Adam and evaluation that `fit` uses, on a synthetic problem.
 * Requests: `open`, `step`, `evaluate`, `gemm`, `profile`; every answer carries milliseconds.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { LACKS } from "../../dist/engine/onnx-engine.js";
import { tf } from "../../dist/engine/tf.js";
import { traceProgram } from "../../dist/engine/trace/trace-program.js";
import {
  type Bundle,
  createEngine,
  type Executable,
  type Head,
  initAdam,
  mergeableTensors,
  openBundle,
  type Program,
  readSafetensorsHeader,
  readTensorFloat32,
  stepAdam,
  stepProgram,
  stepSources,
  type TensorSource,
  type TensorValues,
} from "../../dist/internal.js";
import { headSources } from "../../dist/model/head-program.js";
import { meanEntropy } from "../../dist/objective/entropy.js";
import { classifyProgram } from "../../dist/optimize/evaluate.js";
import { microBatched } from "../../dist/optimize/micro-batches.js";
import { microBatches } from "../../dist/optimize/step-memory.js";
import { STEP_OUTPUT_GRADIENT, STEP_OUTPUT_LOSSES } from "../../dist/optimize/step-program.js";
import { mapFile } from "../../dist/runtime/mmap.js";
import { serve } from "./peer.js";
import { headsOf } from "./synthetic-problem.js";
import { type TowerName, towerOf } from "./towers.js";

const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
const START = 0.3;

const [shapeName = "", bundlePath = "", inputsPath = "", device = "cpu", memoryGb = "0"] = process.argv.slice(2);
const { model, length } = towerOf(shapeName as TowerName);
const threads = 0;
const name = device === "tensorflow" ? "tfjs" : "onnx";
const { engine } = await createEngine({ engine: name, device: device as "cpu", threads });

interface Opened {
  readonly bundle: Bundle;
  readonly heads: readonly Head[];
  /** Of all tasks, one after another. */
  readonly examples: number;
  /** Of the model, by name. */
  readonly inputs: ReadonlyMap<string, TensorValues>;
  readonly program: Program;
  readonly step: Executable;
  /** Of a step, to keep inside the memory budget. */
  readonly passes: number;
}
let opened: Opened | undefined;
let coefficients: Float64Array = new Float64Array();
let adam = initAdam(0);
/** Of the coefficients that all devices start from. */
let firstGradient: Float32Array | undefined;
let classifier: Executable | undefined;

async function open(): Promise<Opened> {
  const bundle = await openBundle(bundlePath);
  const file = await readSafetensorsHeader(inputsPath);
  const weights = new Map<string, Float32Array>();
  for (const task of bundle.tasks) weights.set(task, await readTensorFloat32(file, `head/${task}`));
  const classes = file.tensors.get(`head/${bundle.tasks[0]}`)?.shape[0] ?? 0;
  const mapped = await mapFile(inputsPath);
  const inputs = new Map<string, TensorValues>();
  let examples = 0;
  for (const name of model.inputs(1, length).keys()) {
    const stored = file.tensors.get(name);
    if (stored === undefined) throw new Error(`${inputsPath} has no ${name}`);
    const bytes = new Uint8Array(mapped.view(stored.byteOffset, stored.byteLength)).slice();
    inputs.set(name, stored.dtype === "I32" ? new Int32Array(bytes.buffer) : bytes);
    examples = stored.shape[0] ?? 0;
  }
  const heads = headsOf(model, classes, weights);
  const examplesPerTask = examples / heads.length;
  const passes = microBatches(1e9 * Number(memoryGb), examplesPerTask, {
    model,
    longest: length,
    tasks: bundle.tasks.length,
    adaptedTasks: heads.length,
    isHalf: bundle.tensors.some(({ scales }) => scales !== undefined),
  });
  const program = stepProgram({
    bundle,
    model,
    heads,
    examplesPerTask: examplesPerTask / passes,
    length,
    taskWeight: 1,
    maxTensorBytes: engine.maxTensorBytes,
    loss: (logitsBC) => meanEntropy(logitsBC, { form: "log_softmax" }),
  });
  const pass = await engine.compile(program);
  await pass.bind(stepSources({ bundle, heads, maxTensorBytes: engine.maxTensorBytes }));
  const size = mergeableTensors(bundle).length * bundle.tasks.length;
  coefficients = new Float64Array(size).fill(START);
  adam = initAdam(size);
  const step = microBatched(
    pass,
    heads.map(() => examplesPerTask),
    passes,
  );
  return { bundle, heads, examples, inputs, program, step, passes };
}

async function runStep({ step, inputs }: Opened): Promise<Float32Array> {
  const outputs = await step.run(
    new Map<string, TensorValues>([["coefficients", Float32Array.from(coefficients)], ...inputs]),
  );
  const gradient = outputs.get(STEP_OUTPUT_GRADIENT) ?? new Float32Array();
  firstGradient ??= gradient.slice();
  const updated = stepAdam(adam, coefficients, gradient, 1e-3, ADAM);
  [coefficients, adam] = [updated.parameters, updated.state];
  return outputs.get(STEP_OUTPUT_LOSSES) ?? new Float32Array();
}

/** One forward over all examples with merged weights in memory, as an evaluation does it batch after batch. */
async function evaluate({ bundle, heads, examples, inputs }: Opened): Promise<void> {
  if (classifier === undefined) {
    classifier = await engine.compile(classifyProgram({ model, heads, batchSize: examples }, length));
    const weights = bundle.tensors.map(({ name, base }): [string, TensorSource] => [`weights/${name}`, base]);
    await classifier.bind(new Map([...weights, ...headSources(heads)]));
  }
  await classifier.run(inputs);
}

/** Times one matrix product [rows, inner] x [inner, columns]; only one number of the result leaves the graph. */
async function gemm(rows: number, inner: number, columns: number, count: number): Promise<number[]> {
  const shapes = { a: [rows, inner], b: [inner, columns] };
  const executable = await engine.compile({
    name: "gemm",
    frozen: new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "float32" as const }])),
    inputs: new Map(),
    build: (tensors) => {
      const [a, b] = [tensors.get("a"), tensors.get("b")];
      if (a === undefined || b === undefined) throw new Error("gemm without operands");
      return new Map([["corner", tf.slice(tf.matMul(a, b), [0, 0], [1, 1])]]);
    },
  });
  const values = (length: number): Float32Array => Float32Array.from({ length }, (_, index) => (index % 17) / 17);
  await executable.bind(
    new Map([
      ["a", { kind: "memory", values: values(rows * inner) }],
      ["b", { kind: "memory", values: values(inner * columns) }],
    ]),
  );
  const times: number[] = [];
  for (let index = 0; index <= count; index++) times.push(await timed(() => executable.run(new Map())));
  await executable.close();
  return times.slice(1);
}

/**
 * Milliseconds per operator (`detailed`: and shapes of its inputs) of one step, by ONNX Runtime's own profiler in a session of its own; nothing for an
 * engine that runs operations one by one.
 */
async function profile({ program, bundle, heads, inputs }: Opened, detailed: boolean): Promise<Record<string, number>> {
  if (engine.name !== "onnx") return {};
  const folder = await mkdtemp(join(tmpdir(), "adamerge-profile-"));
  const { onnx } = traceProgram(program, LACKS[device as keyof typeof LACKS]);
  const session = await ort.InferenceSession.create(onnx, {
    executionProviders: [device],
    enableProfiling: true,
    enableMemPattern: false,
    profileFilePrefix: join(folder, "profile"),
  });
  const mapped = await mapFile(bundle.path);
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, source] of stepSources({ bundle, heads, maxTensorBytes: engine.maxTensorBytes })) {
    const values =
      source.kind === "memory" ? source.values : new Float32Array(mapped.view(source.byteOffset, source.byteLength));
    feeds[name] = new ort.Tensor("float32", values as Float32Array, [...(program.frozen.get(name)?.shape ?? [])]);
  }
  for (const [name, values] of inputs) {
    const shape = [...(program.inputs.get(name)?.shape ?? [])];
    feeds[name] =
      values instanceof Int32Array
        ? new ort.Tensor("int32", values, shape)
        : new ort.Tensor("uint8", values as Uint8Array, shape);
  }
  const shape = [...(program.inputs.get("coefficients")?.shape ?? [])];
  feeds.coefficients = new ort.Tensor("float32", Float32Array.from(coefficients), shape);
  const runs = 4;
  for (let index = 0; index < runs; index++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  mapped.close();
  const [name = ""] = await readdir(folder);
  const events: ProfileEvent[] = JSON.parse(await readFile(join(folder, name), "utf8"));
  await rm(folder, { recursive: true });
  // The first run also takes its memory from the system.
  const first = events.find((event) => event.name === "model_run");
  const warmFrom = (first?.ts ?? 0) + (first?.dur ?? 0);
  const byOperator: Record<string, number> = {};
  for (const event of events) {
    if (event.cat !== "Node" || !event.name.endsWith("_kernel_time") || event.ts < warmFrom) continue;
    const shapes = (event.args?.input_type_shape ?? []).flatMap((input) => Object.values(input));
    const operator = `${event.args?.op_name ?? "other"}${detailed ? ` ${JSON.stringify(shapes)}` : ""}`;
    byOperator[operator] = (byOperator[operator] ?? 0) + event.dur / 1000 / (runs - 1);
  }
  return byOperator;
}

/** What is read of an event of ONNX Runtime's profiler; times in microseconds. */
interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string; readonly input_type_shape?: Readonly<Record<string, number[]>>[] };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function many(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) times.push(await timed(work));
  return times;
}

await serve(async (request) => {
  const count = Number(request.count ?? 1);
  if (request.kind === "open") {
    opened = await open();
    const losses = await runStep(opened);
    const secondsToFirstStep = performance.now() / 1000;
    const { products } = traceProgram(opened.program);
    const loss = losses.reduce((sum, each) => sum + each, 0);
    const gradient = Buffer.from(firstGradient?.buffer ?? new ArrayBuffer()).toString("base64");
    return { secondsToFirstStep, passes: opened.passes, loss, gradient, products };
  }
  if (request.kind === "gemm")
    return { ms: await gemm(Number(request.rows), Number(request.inner), Number(request.columns), count) };
  const problem = opened;
  if (problem === undefined) throw new Error("open comes first");
  if (request.kind === "step") return { ms: await many(count, () => runStep(problem)) };
  if (request.kind === "evaluate") return { ms: await many(count, () => evaluate(problem)) };
  if (request.kind === "profile") return { msByOperator: await profile(problem, request.detailed === true) };
  throw new Error(`unknown request ${String(request.kind)}`);
});
await classifier?.close();
await engine.close();
