/** What goes into a bundle: the model's tensors as the base and the experts name them, and the fingerprint of them all. */
import { createHash } from "node:crypto";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { BUNDLE_FORMAT, BUNDLE_VERSION, type TaskVectorDtype, type TaskVectorOrigin } from "./bundle.js";
import type { Checkpoint } from "./checkpoint.js";
import type { TowerLayout } from "./layout/tensor-layout.js";
import { towerTensors } from "./layout/tower-names.js";
import { type ExpectedTensor, type Expert, sameShape } from "./preflight.js";
import type { TaskVectorProcessing } from "./task-vectors.js";

export interface BundleProgress {
  /** `hash` reads the inputs, `process` looks at the whole model for the processing, `write` fills the file. */
  readonly phase: "hash" | "process" | "write";
  /** Checkpoints (`hash`) or tensors done in this phase; `process` may pass over the model several times. */
  readonly done: number;
  readonly total: number;
}

export interface BuildBundleOptions {
  readonly base: Checkpoint;
  readonly experts: readonly Expert[];
  /** The tensors of the model, by canonical name, in its order. */
  readonly tensors: readonly ExpectedTensor[];
  /** What the files may call them. */
  readonly layout: TowerLayout;
  readonly cacheDir: string;
  readonly processing?: TaskVectorProcessing | undefined;
  /** What task vectors are counted from, before any processing; default: `pretrained`. */
  readonly origin?: TaskVectorOrigin | undefined;
  /** How task vectors are stored; the base is F32 always. */
  readonly dtype?: TaskVectorDtype | undefined;
  readonly onProgress?: ((progress: BundleProgress) => void) | undefined;
}

/** One tensor of the inputs: its names in the files. No experts: the tensor is taken from the base. */
export interface InputTensor extends ExpectedTensor {
  readonly baseName: string;
  /** Undefined for an expert that has the base's tensor: an adapter of others, or a tower without an optional one. */
  readonly expertNames: readonly (string | undefined)[];
}

/** Finds every tensor of the model in the base and the experts. Throws CheckpointError for the first that is missing or of another shape. */
export function matchTensors({ base, experts, tensors, layout }: BuildBundleOptions): InputTensor[] {
  const namesOf = ({ tensors: own, path }: Checkpoint) => towerTensors(layout, own.keys(), path).names;
  const baseNames = namesOf(base);
  const indexes = experts.map(({ checkpoint }) => namesOf(checkpoint));
  return tensors.map(({ name, shape, isOptional }) => {
    const baseName = requireTensor(base, baseNames, name, shape);
    const inSome = indexes.some((index) => index.has(name));
    const expertNames = inSome
      ? experts.map(({ checkpoint }, i) => {
          const names = indexes[i] ?? new Map();
          if ((checkpoint.isPartial || isOptional === true) && !names.has(name)) return undefined;
          return requireTensor(checkpoint, names, name, shape);
        })
      : [];
    return { name, shape, baseName, expertNames };
  });
}

function requireTensor(
  checkpoint: Checkpoint,
  names: ReadonlyMap<string, string>,
  name: string,
  shape: readonly number[],
): string {
  const key = names.get(name) ?? "";
  const stored = checkpoint.tensors.get(key);
  if (stored !== undefined && sameShape(stored.shape, shape)) return key;
  const found = stored === undefined ? "no such tensor" : `[${stored.shape.join(", ")}]`;
  throw new CheckpointError(
    `${checkpoint.path}: tensor ${quote(name)}: expected shape [${shape.join(", ")}], found ${found}. Use experts fine-tuned from this base.`,
  );
}

/** Hex sha256 over what a bundle is made of: tasks, names, shapes and contents in order, the origin, the processing and the stored type. */
export async function fingerprintOf(options: BuildBundleOptions, inputs: readonly InputTensor[]): Promise<string> {
  const { base, experts, processing, onProgress } = options;
  const hash = createHash("sha256");
  const add = (value: unknown) => hash.update(`${JSON.stringify(value)}\n`);
  // Only what is not the default, so that bundles keep the names that they had before there was a choice.
  const stored = [...(options.dtype === "F16" ? ["F16"] : []), ...(options.origin === "average" ? ["average"] : [])];
  add([BUNDLE_FORMAT, BUNDLE_VERSION, processing?.id ?? "none", experts.map(({ task }) => task), ...stored]);
  const merged = inputs.filter(({ expertNames }) => expertNames.length > 0);
  const baseHashes = await base.tensorSha256s(inputs.map(({ baseName }) => baseName));
  const total = experts.length + 1;
  onProgress?.({ phase: "hash", done: 1, total });
  const expertHashes: Map<InputTensor, string>[] = [];
  for (const [k, { checkpoint }] of experts.entries()) {
    const own = merged.flatMap((input) => {
      const name = input.expertNames[k];
      return name === undefined ? [] : [{ input, name }];
    });
    const hashes = await checkpoint.tensorSha256s(own.map(({ name }) => name));
    expertHashes.push(new Map(own.map(({ input }, i) => [input, hashes[i] ?? ""])));
    onProgress?.({ phase: "hash", done: k + 2, total });
  }
  for (const [i, input] of inputs.entries())
    add([
      input.name,
      input.shape,
      [baseHashes[i], ...input.expertNames.map((_, k) => expertHashes[k]?.get(input) ?? baseHashes[i])],
    ]);
  return hash.digest("hex");
}
