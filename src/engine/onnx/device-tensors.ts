/**
 * Frozen tensors that stay on a WebGPU device: each is copied there once, and fed from there in every run. ONNX Runtime for Node has no call
 * for that, but it leaves outputs on the device when asked, so a graph of one Identity node is the copy.
 */
import ort from "onnxruntime-node";
import { assert } from "../../errors.js";
import type { InputType, TensorValues } from "../program.js";
import { encodeModel } from "./encode-model.js";
import { addNode, createGraph } from "./graph.js";

export interface DeviceCopier {
  /** A tensor on the device with these values; whoever asks disposes it. */
  copy(dtype: InputType, shape: readonly number[], values: TensorValues): Promise<ort.Tensor>;
  /** Releases what the copying needed, not the copies. */
  close(): Promise<void>;
}

/** A copier whose sessions have the options of the session that the copies are for. One session for each type and shape. */
export function createDeviceCopier(options: ort.InferenceSession.SessionOptions): DeviceCopier {
  const sessions = new Map<string, ort.InferenceSession>();
  const sessionOf = async (dtype: InputType, shape: readonly number[]): Promise<ort.InferenceSession> => {
    const key = `${dtype} ${shape.join("x")}`;
    const known = sessions.get(key);
    if (known !== undefined) return known;
    const graph = createGraph();
    graph.inputs.push({ name: "values", type: dtype, shape });
    const copy = addNode(graph, "Identity", ["values"]);
    const session = await ort.InferenceSession.create(encodeModel(graph, [{ name: copy, type: dtype, shape }]), {
      ...options,
      preferredOutputLocation: "gpu-buffer",
    });
    sessions.set(key, session);
    return session;
  };
  return {
    copy: async (dtype, shape, values) => {
      const session = await sessionOf(dtype, shape);
      const [output] = Object.values(await session.run({ values: new ort.Tensor(dtype, values, shape) }));
      assert(output?.location === "gpu-buffer", "a tensor that should be on the device is not there");
      return output;
    },
    close: async () => {
      for (const session of sessions.values()) await session.release();
      sessions.clear();
    },
  };
}
