/** The messages between the onnx engine on the main thread and the worker that owns ONNX Runtime's sessions. */
import type { Pages } from "../../runtime/posix.js";
import type { InputType, SharedFloats, TensorValues } from "../program.js";

export interface SessionOptions {
  /** ONNX Runtime's execution provider. */
  readonly provider: "cpu" | "webgpu" | "cuda";
  /** Intra-op threads; 0 lets ONNX Runtime take every core. */
  readonly threads: number;
}

/** Where a frozen tensor's bytes are: sent along, or in pages that the main thread mapped and keeps until the session is released. */
export type BoundSource =
  | { readonly kind: "memory"; readonly values: TensorValues }
  | { readonly kind: "pages"; readonly pages: Pages; readonly byteOffset: number; readonly byteLength: number };

export interface BoundTensor {
  readonly name: string;
  readonly dtype: InputType;
  readonly shape: readonly number[];
  readonly source: BoundSource;
}

export interface FedTensor {
  readonly name: string;
  readonly dtype: InputType;
  readonly shape: readonly number[];
  readonly values: TensorValues;
}

export type Request =
  | {
      readonly kind: "load";
      readonly session: number;
      readonly onnx: Uint8Array;
      readonly options: SessionOptions;
      /** The session whose bound tensors this one shares. */
      readonly beside?: number;
    }
  | { readonly kind: "bind"; readonly session: number; readonly tensors: readonly BoundTensor[] }
  | {
      readonly kind: "run";
      readonly session: number;
      readonly inputs: readonly FedTensor[];
      /** Where outputs of these names are written, instead of being sent. */
      readonly into?: ReadonlyMap<string, SharedFloats>;
    }
  | { readonly kind: "release"; readonly session: number }
  /** Releases all sessions; answered when everything before it has been. */
  | { readonly kind: "finish" };

export type Envelope = { readonly id: number; readonly request: Request };

export type Reply =
  /** Sent once, when the worker has loaded what it needs. */
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: number; readonly outputs: ReadonlyMap<string, Float32Array> }
  /** `name` and `message` of the error. */
  | { readonly kind: "failed"; readonly id: number; readonly name: string; readonly message: string };
