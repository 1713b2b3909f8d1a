/**
 * The thread that owns ONNX Runtime: its `run` blocks the thread it is called on, so it must not be the main one.
 * Frozen tensors that lie in files are fed without a copy, through views of the pages that the main thread mapped and guards (views
 * cannot be sent between threads). A session and its views are released before the main thread unmaps what is under them. On WebGPU they
 * are copied to the device once.
 */
import { parentPort } from "node:worker_threads";
import ort from "onnxruntime-node";
import { assert } from "../../errors.js";
import { viewPages } from "../../runtime/mmap.js";
import type { InputType, SharedFloats, TensorValues } from "../program.js";
import { createDeviceCopier, type DeviceCopier } from "./device-tensors.js";
import type { BoundSource, BoundTensor, Envelope, Reply, Request, SessionOptions } from "./session-protocol.js";

/** Frozen tensors of one session, or of several that share them: released with the last. */
interface Bound {
  readonly tensors: Map<string, ort.Tensor>;
  /** Copies of values in shared memory, which ONNX Runtime cannot look at; written again by the next `bind`. */
  readonly copies: Map<string, Float32Array>;
  /** Where they are kept on a device. */
  readonly copier?: DeviceCopier;
  sessions: number;
}

interface Loaded {
  readonly session: ort.InferenceSession;
  readonly bound: Bound;
}

const sessions = new Map<number, Loaded>();

// What fails is thrown and explained by the engine; ONNX Runtime would print it to the terminal as well.
ort.env.logLevel = "fatal";

/** ONNX Runtime writes its warnings over the progress line, and errors that are thrown and explained a second time. */
const LOG_FATAL = 4;

async function load(onnx: Uint8Array, { provider, threads }: SessionOptions, shared?: Bound): Promise<Loaded> {
  const sessionOptions: ort.InferenceSession.SessionOptions = {
    // Shapes never change, so that buffers of exactly their sizes are found again in every run; the default rounds them up.
    executionProviders: [provider === "webgpu" ? { name: provider, storageBufferCacheMode: "simple" } : provider],
    graphOptimizationLevel: "all",
    executionMode: "sequential",
    // A memory pattern is one block for all intermediate results, taken from the system anew in every run: its pages are
    // touched for the first time again and again, and it nearly doubles the peak (ViT-B/32, 32 images: 3.3 GB to 1.8 GB).
    enableMemPattern: false,
    logSeverityLevel: LOG_FATAL,
    // An error, not a detour: the nodes that the CPU would run instead cost copies of their inputs in every step.
    ...(provider === "webgpu" ? { extra: { session: { disable_cpu_ep_fallback: "1" } } } : {}),
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
  };
  const session = await ort.InferenceSession.create(onnx, sessionOptions);
  const copier = provider === "webgpu" && shared === undefined ? { copier: createDeviceCopier(sessionOptions) } : {};
  const bound = shared ?? { tensors: new Map(), copies: new Map(), ...copier, sessions: 0 };
  bound.sessions += 1;
  return { session, bound };
}

function valuesOf(source: BoundSource, dtype: InputType): TensorValues {
  if (source.kind === "memory") return source.values;
  const buffer = viewPages(source.pages, source.byteOffset, source.byteLength);
  if (dtype === "float32") return new Float32Array(buffer);
  if (dtype === "float16") return new Uint16Array(buffer);
  if (dtype === "int32") return new Int32Array(buffer);
  return new Uint8Array(buffer);
}

function writeInto(target: SharedFloats, data: Float32Array, name: string): void {
  assert(target.length === data.length, `output ${name} has ${data.length} values, not ${target.length}`);
  target.set(data);
}

function isShared(values: TensorValues): values is SharedFloats {
  return values instanceof Float32Array && values.buffer instanceof SharedArrayBuffer;
}

function ortTensor(dtype: InputType, values: TensorValues, shape: readonly number[]): ort.Tensor {
  return new ort.Tensor(dtype, values, shape);
}

async function handle(request: Request): Promise<ReadonlyMap<string, Float32Array>> {
  if (request.kind === "finish") {
    for (const [session, loaded] of [...sessions]) await release(session, loaded);
    return new Map();
  }
  if (request.kind === "load") {
    const shared = request.beside === undefined ? undefined : loadedAs(request.beside).bound;
    sessions.set(request.session, await load(request.onnx, request.options, shared));
    return new Map();
  }
  const loaded = loadedAs(request.session);
  switch (request.kind) {
    case "bind":
      for (const tensor of request.tensors) await bind(loaded.bound, tensor);
      return new Map();
    case "run":
      return run(loaded, request.inputs, request.into);
    case "release":
      await release(request.session, loaded);
      return new Map();
    default:
      return request satisfies never;
  }
}

function loadedAs(session: number): Loaded {
  const loaded = sessions.get(session);
  assert(loaded !== undefined, `no session ${session} in the engine's worker`);
  return loaded;
}

async function release(session: number, { bound, session: native }: Loaded): Promise<void> {
  sessions.delete(session);
  bound.sessions -= 1;
  if (bound.sessions === 0) {
    for (const tensor of bound.tensors.values()) tensor.dispose();
    bound.tensors.clear();
    bound.copies.clear();
    await bound.copier?.close();
  }
  await native.release();
}

async function bind({ tensors, copies, copier }: Bound, { name, dtype, shape, source }: BoundTensor): Promise<void> {
  const given = valuesOf(source, dtype);
  const copy = copies.get(name);
  if (isShared(given) && copy !== undefined && copier === undefined) {
    copy.set(given);
    return;
  }
  const values = isShared(given) ? Float32Array.from(given) : given;
  if (isShared(given) && values instanceof Float32Array) copies.set(name, values);
  else copies.delete(name);
  const tensor = copier === undefined ? ortTensor(dtype, values, shape) : await copier.copy(dtype, shape, values);
  tensors.get(name)?.dispose();
  tensors.set(name, tensor);
}

async function run(
  { session, bound }: Loaded,
  inputs: Extract<Request, { kind: "run" }>["inputs"],
  into?: ReadonlyMap<string, SharedFloats>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const feeds: Record<string, ort.Tensor> = Object.fromEntries(bound.tensors);
  for (const { name, dtype, shape, values } of inputs)
    feeds[name] = ortTensor(dtype, isShared(values) ? Float32Array.from(values) : values, shape);
  const results = await session.run(feeds);
  const outputs = new Map<string, Float32Array>();
  for (const name of session.outputNames) {
    const data = results[name]?.data;
    assert(data instanceof Float32Array, `output ${name} is not float32`);
    const target = into?.get(name);
    if (target === undefined) outputs.set(name, data);
    else writeInto(target, data, name);
  }
  for (const name of into?.keys() ?? []) assert(session.outputNames.includes(name), `there is no output ${name}`);
  return outputs;
}

const port = parentPort;
assert(port !== null, "the session worker was started on the main thread");
// Requests are handled one after another: the second waits until the first has its reply.
let queue: Promise<void> = Promise.resolve();
port.on("message", ({ id, request }: Envelope) => {
  queue = queue.then(async () => {
    let reply: Reply;
    try {
      reply = { kind: "done", id, outputs: await handle(request) };
    } catch (error) {
      const [name, message] = error instanceof Error ? [error.name, error.message] : ["Error", String(error)];
      reply = { kind: "failed", id, name, message };
    }
    port.postMessage(reply);
  });
});
port.postMessage({ kind: "ready" } satisfies Reply);
