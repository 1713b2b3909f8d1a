/**
 * Chooses an engine and a device and says why. `auto` tries what this build of ONNX Runtime offers, fastest
 * first, by running a one-node graph; a device that was asked for by name is used or is an error.
 */
import { readdirSync } from "node:fs";
import { platform } from "node:os";
import { ConfigError } from "../errors.js";
import { cudaLibrary, loadCuda, runtimePlace } from "./onnx/cuda-libraries.js";
import { briefReason } from "./onnx/runtime-errors.js";
import { createOnnxEngine } from "./onnx-engine.js";
import type { Engine, Program } from "./program.js";
import { tensorflowLibrary } from "./tensorflow.js";
import { tf } from "./tf.js";
import { createTfjsEngine } from "./tfjs-engine.js";

/** What computes: a graph compiled for ONNX Runtime, or TensorFlow.js eagerly. */
export type EngineName = "onnx" | "tfjs";
/** Where an engine computes; `auto` takes the best that is there. */
export type DeviceName = "auto" | "cpu" | "webgpu" | "cuda" | "wasm" | "tensorflow";

export interface EngineChoice {
  readonly engine: Engine;
  /** One sentence for the log: what was picked and why. */
  readonly reason: string;
  /** Of a device that depends on what is installed: the library that was found, and what it computes on. */
  readonly library?: string;
}

const ONNX_DEVICES = ["cuda", "webgpu", "cpu"] as const;
const TFJS_DEVICES = ["cpu", "wasm", "tensorflow"] as const;

/** Starts the engine. Throws ConfigError when the engine has no such device, or the device does not work here. */
export async function createEngine(options: {
  engine: EngineName;
  device: DeviceName;
  threads: number;
}): Promise<EngineChoice> {
  const { engine, device, threads } = options;
  if (engine === "tfjs") {
    const backend = device === "auto" ? "wasm" : TFJS_DEVICES.find((name) => name === device);
    if (backend === undefined) throw wrongDevice(engine, device, ["auto", ...TFJS_DEVICES]);
    const created = await createTfjsEngine(backend, threads);
    if (backend !== "tensorflow") {
      const why = device === "auto" ? " (the fastest that needs no native install)" : "";
      return { engine: created, reason: `tfjs on ${backend}${why}` };
    }
    const library = tensorflowLibrary();
    return { engine: created, reason: `tfjs on tensorflow (${library})`, library };
  }
  if (device === "auto") return firstWorking(threads);
  const provider = ONNX_DEVICES.find((name) => name === device);
  if (provider === undefined) throw wrongDevice(engine, device, ["auto", ...ONNX_DEVICES]);
  const failure = unloadable(provider) ?? (await probe(provider, threads));
  if (failure !== undefined) {
    throw new ConfigError(`device=${device} does not work on this machine: ${failure}; use device=auto or device=cpu`);
  }
  return started(provider, threads, "as configured");
}

async function firstWorking(threads: number): Promise<EngineChoice> {
  const refused: string[] = [];
  for (const provider of ONNX_DEVICES) {
    const failure = provider === "cpu" ? undefined : (absent(provider) ?? (await probe(provider, threads)));
    if (failure === undefined) {
      return started(provider, threads, refused.join("; "));
    }
    refused.push(`no ${provider}: ${failure}`);
  }
  throw new ConfigError("no device of ONNX Runtime works on this machine");
}

function started(provider: (typeof ONNX_DEVICES)[number], threads: number, why: string): EngineChoice {
  const engine = createOnnxEngine({ provider, threads });
  const reason = `ONNX Runtime on ${provider}${why === "" ? "" : ` (${why})`}`;
  return provider === "cuda" && platform() === "linux"
    ? { engine, reason, library: cudaLibrary(runtimePlace()) }
    : { engine, reason };
}

function wrongDevice(engine: string, device: string, known: readonly string[]): ConfigError {
  return new ConfigError(`engine=${engine} has no device ${device}; it has ${known.join(", ")}`);
}

/** Doubles one number on `provider`; the reason why that failed, or undefined. */
export async function probe(provider: "cuda" | "webgpu" | "cpu", threads: number): Promise<string | undefined> {
  const engine = createOnnxEngine({ provider, threads });
  try {
    const executable = await engine.compile(doubling);
    const outputs = await executable.run(new Map([["x", Float32Array.of(21)]]));
    await executable.close();
    return outputs.get("y")?.[0] === 42 ? undefined : "a test computation gave a wrong result";
  } catch (error) {
    return briefReason(error instanceof Error ? error.message : String(error));
  } finally {
    await engine.close();
  }
}

/**
 * Why `provider` cannot be there, without loading its libraries, which print warnings of their own when they fail; undefined
 * when it is worth a try. WebGPU counts on real hardware only: a software adapter is slower than the CPU provider.
 */
function absent(provider: "cuda" | "webgpu"): string | undefined {
  if (platform() !== "linux") return undefined;
  const devices = readdirSync("/dev").filter((name) => /^(dri|dxg|kfd|nvidiactl)$/.test(name));
  if (devices.length === 0) return "this machine has no GPU device";
  return unloadable(provider);
}

/** Why the libraries of `provider` cannot be loaded, where they do not come with ONNX Runtime. */
function unloadable(provider: (typeof ONNX_DEVICES)[number]): string | undefined {
  return provider === "cuda" && platform() === "linux" ? loadCuda(runtimePlace()) : undefined;
}

const doubling: Program = {
  name: "probe",
  frozen: new Map(),
  inputs: new Map([["x", { shape: [1], dtype: "float32" }]]),
  build: (tensors) => {
    const x = tensors.get("x");
    return new Map(x === undefined ? [] : [["y", tf.add(x, x)]]);
  },
};
