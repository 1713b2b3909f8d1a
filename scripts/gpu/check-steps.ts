/** One tower's step on one device: its gradient beside that of the CPU, its time beside PyTorch's in turns, and the card's memory. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Peer, startPeer } from "../bench/peer.js";
import { median, round } from "../bench/statistics.js";
import { makeProblem, type Problem } from "../bench/synthetic-problem.js";
import { type TowerName, towerOf } from "../bench/towers.js";
import { msOf, takeTurns } from "../bench/turns.js";
import { deviceMibOf } from "./card.js";
import type { Torch } from "./torch-on.js";

export type Device = "cuda" | "webgpu" | "tensorflow" | "cpu";

export interface StepCheck {
  readonly device: Device;
  readonly model: TowerName;
  readonly batch: number;
  /** Why it could not be measured. */
  readonly error?: string;
  /** Norm of the difference to the CPU's gradient over the norm of that; absent of the CPU itself. */
  readonly gradientError?: number;
  readonly isSame?: boolean;
  readonly stepMs?: number;
  readonly torchMs?: number;
  /** PyTorch's time over ours, the median of the rounds. */
  readonly ratio?: number;
  /** While steps run, as nvidia-smi counts it. */
  readonly deviceMib?: number;
}

export interface StepRequest {
  readonly device: Device;
  readonly model: TowerName;
  /** Examples of all tasks together. */
  readonly batch: number;
  readonly rounds: number;
  readonly torch: Torch;
}

const TASKS = 8;
const CLASSES = 100;
/** What float32 sums in another order come to over a dozen blocks; TF32 lies a hundred times higher. */
const SAME = 1e-4;
/** Of steps between two turns. */
const TURN_MS = 1000;

/** Nothing is thrown: what failed is in the result. */
export async function checkSteps(request: StepRequest): Promise<StepCheck> {
  const { device, model, batch } = request;
  const name = { device, model, batch };
  try {
    const problem = await makeProblem({ shape: model, tasks: TASKS, images: batch, classes: CLASSES });
    const reference = device === "cpu" ? undefined : await gradientOn("cpu", model, problem);
    return { ...name, ...(await measured(request, problem, reference)) };
  } catch (error) {
    return { ...name, error: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) };
  }
}

async function measured(
  { device, model, rounds, torch }: StepRequest,
  problem: Problem,
  reference: Float32Array | undefined,
): Promise<Omit<StepCheck, "device" | "model" | "batch">> {
  const ours = startOurs(device, model, problem);
  const theirs = torch.python === undefined ? undefined : startTorch(torch.python, torch.device, model, problem);
  try {
    const gradient = floats((await ours.ask({ kind: "open" })).gradient);
    await theirs?.ask({ kind: "open" });
    const trial = median(await msOf(ours, { kind: "step", count: 1 }));
    const count = Math.max(1, Math.round(TURN_MS / trial));
    const times = await takeTurns(ours, theirs, rounds, count);
    const deviceMib = deviceMibOf(ours.pid);
    return {
      stepMs: round(median(times.ours), 2),
      ...(reference === undefined ? {} : comparison(gradient, reference)),
      ...(theirs === undefined
        ? {}
        : { torchMs: round(median(times.torch), 2), ratio: round(median(times.ratios), 3) }),
      ...(deviceMib === undefined ? {} : { deviceMib }),
    };
  } finally {
    await Promise.all([ours.close(), theirs?.close()]);
  }
}

async function gradientOn(device: Device, model: TowerName, problem: Problem): Promise<Float32Array> {
  const peer = startOurs(device, model, problem);
  try {
    return floats((await peer.ask({ kind: "open" })).gradient);
  } finally {
    await peer.close();
  }
}

function startOurs(device: Device, model: TowerName, { bundlePath, inputsPath }: Problem): Peer {
  const script = join(import.meta.dirname, "..", "bench", "our-step.ts");
  return startPeer("our step", process.execPath, ["--import", "tsx", script, model, bundlePath, inputsPath, device]);
}

function startTorch(python: string, device: Torch["device"], model: TowerName, problem: Problem): Peer {
  return startPeer("PyTorch", python, [
    join(import.meta.dirname, "..", "compare", "step-torch.py"),
    ...["--shape", JSON.stringify(towerOf(model).shape)],
    ...["--bundle", problem.bundlePath, "--inputs", problem.inputsPath],
    ...["--style", "fused", "--device", device, "--threads", String(availableParallelism())],
  ]);
}

/** As the peer sends them: little-endian float32 in base64. */
function floats(text: unknown): Float32Array {
  const bytes = Buffer.from(String(text), "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function comparison(gradient: Float32Array, reference: Float32Array): Pick<StepCheck, "gradientError" | "isSame"> {
  const gradientError = relativeError(gradient, reference);
  return { gradientError, isSame: gradientError < SAME };
}

function relativeError(values: Float32Array, reference: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (const [index, value] of reference.entries()) {
    difference += (value - (values[index] ?? Number.NaN)) ** 2;
    norm += value * value;
  }
  return Math.sqrt(difference / norm);
}
