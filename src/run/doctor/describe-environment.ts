/** What `adamerge doctor` finds out: which engines and devices work here, and what to do about those that do not. */
import { access, constants } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { versions } from "node:process";
import { createEngine, type DeviceName, type EngineName } from "../../engine/create-engine.js";
import { READY_CUDA } from "../../engine/onnx/cuda-libraries.js";
import { READY_TENSORFLOW } from "../../engine/tensorflow.js";
import type { DoctorCheck, DoctorReport } from "../../report/summary.js";
import { shownAddress, withoutCredentials } from "../../runtime/credentials.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { canMapFiles, mappingGuard } from "../../runtime/mmap.js";
import { authorization, failureText } from "../../track/mlflow/request.js";
import type { Tracking } from "../records/tracking.js";

export interface DoctorOptions {
  readonly cacheDir: string;
  /** The tracking server, where one is named. */
  readonly tracking: Pick<Tracking, "uri" | "username" | "password" | "token"> | undefined;
  readonly fetch: (
    url: string,
    options: { readonly signal: AbortSignal; readonly headers: Headers },
  ) => Promise<{ ok: boolean; status: number }>;
}

const GIGABYTE = 1e9;
const OLDEST_NODE = 20;
const TRACKER_TIMEOUT_MS = 3000;

const DEVICES: readonly { engine: EngineName; device: DeviceName; optional: boolean; advice: string }[] = [
  {
    engine: "onnx",
    device: "cpu",
    optional: false,
    advice: "reinstall with npm ci; onnxruntime-node has binaries for Linux, macOS (arm64) and Windows",
  },
  {
    engine: "onnx",
    device: "webgpu",
    optional: true,
    advice: "needs a GPU with a Vulkan, Metal or Direct3D 12 driver",
  },
  {
    engine: "onnx",
    device: "cuda",
    optional: true,
    advice: `needs an NVIDIA GPU with its driver, and CUDA's libraries: ${READY_CUDA}`,
  },
  { engine: "tfjs", device: "cpu", optional: false, advice: "reinstall with npm ci" },
  { engine: "tfjs", device: "wasm", optional: false, advice: "reinstall with npm ci" },
  {
    engine: "tfjs",
    device: "tensorflow",
    optional: true,
    advice: READY_TENSORFLOW,
  },
];

/** Tries every engine and device, mapping, the cache and the tracking server. */
export async function describeEnvironment(options: DoctorOptions): Promise<DoctorReport> {
  const checks: DoctorCheck[] = [nodeCheck(), memoryCheck()];
  for (const device of DEVICES) checks.push(await deviceCheck(device));
  checks.push(mappingCheck(), await cacheCheck(options.cacheDir), await trackerCheck(options));
  return checks;
}

function nodeCheck(): DoctorCheck {
  const ok = Number.parseInt(versions.node, 10) >= OLDEST_NODE;
  return {
    name: "node",
    ok,
    detail: `${versions.node}, ${availableParallelism()} cores`,
    ...(ok ? {} : { advice: `install Node ${OLDEST_NODE} or later` }),
  };
}

function memoryCheck(): DoctorCheck {
  const [free, total] = [freemem() / GIGABYTE, totalmem() / GIGABYTE];
  return { name: "memory", ok: true, detail: `${free.toFixed(1)} GB free of ${total.toFixed(1)} GB` };
}

async function deviceCheck({ engine, device, optional, advice }: (typeof DEVICES)[number]): Promise<DoctorCheck> {
  const name = `${engine} on ${device}`;
  try {
    const { engine: started, library } = await createEngine({ engine, device, threads: 1 });
    await started.close();
    return { name, ok: true, detail: library === undefined ? "works" : `works: ${library}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      name,
      ok: optional,
      detail: `not available${optional ? " (optional)" : ""}: ${reason.split("\n")[0]}`,
      advice,
    };
  }
}

function mappingCheck(): DoctorCheck {
  return canMapFiles()
    ? { name: "file mapping", ok: true, detail: `frozen tensors are mapped, not copied (kept by ${mappingGuard()})` }
    : {
        name: "file mapping",
        ok: false,
        detail: "files cannot be mapped on this platform",
        advice: "use Linux or macOS, or WSL",
      };
}

async function cacheCheck(cacheDir: string): Promise<DoctorCheck> {
  try {
    await makeFolder(cacheDir);
    await access(cacheDir, constants.W_OK);
    return { name: "cache", ok: true, detail: cacheDir };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      name: "cache",
      ok: false,
      detail: `${cacheDir} is not writable: ${reason}`,
      advice: "set ADAMERGE_CACHE to a directory you can write to",
    };
  }
}

async function trackerCheck({ tracking, fetch }: DoctorOptions): Promise<DoctorCheck> {
  if (tracking === undefined)
    return { name: "tracker", ok: true, detail: "MLFLOW_TRACKING_URI is not set; runs are kept in their folders" };
  const shown = shownAddress(tracking.uri);
  try {
    const response = await fetch(new URL("health", `${tracking.uri.replace(/\/+$/, "")}/`).href, {
      signal: AbortSignal.timeout(TRACKER_TIMEOUT_MS),
      headers: authorization(tracking),
    });
    return {
      name: "tracker",
      ok: response.ok,
      detail: `${shown} answers ${response.status}`,
      ...(response.ok ? {} : { advice: "check the address and the credentials" }),
    };
  } catch (error) {
    // The messages of URL and fetch quote the address.
    const reason = URL.canParse(tracking.uri) ? failureText(error) : "it is no address";
    return {
      name: "tracker",
      ok: false,
      detail: withoutCredentials(`${shown} cannot be reached: ${reason}`),
      advice: "start the server, or unset MLFLOW_TRACKING_URI",
    };
  }
}
