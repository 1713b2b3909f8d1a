/**
 * The tensors of an adapter by the tensor of the base that each pair of factors changes: peft's names (`base_model.model.<module>.lora_A.weight`), those of
 * linearised LoRA (`<module>.model.lora_A.default.weight` with the factors at the beginning of training as `<module>.params0_values.<n>`, FusionBench), and tensors
 * that were trained whole (biases, modules_to_save).
 */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { StoredTensor } from "../stored-tensor.js";

const PREFIX = "base_model.model.";
const FACTOR = /^(.+?)(?:\.model)?\.lora_([AB])(?:\.(?!weight$)[^.]+)?\.weight$/;
/** Of embeddings, whose parameters are not those of a layer. */
const EMBEDDING_FACTOR = /^(.+?)\.lora_embedding_([AB])(?:\.[^.]+)?$/;
const INITIAL = /^(.+)\.params0_values\.(\d{1,6})$/;
/** What wraps a layer whose bias, or a module that whole, was trained. */
const WRAPPER = /\.(?:base_layer|modules_to_save(?:\.(?!weight$|bias$)[^.]+)?)(?=\.)/;

/** With biases trained, peft saves those of wrapped modules three times. */
const COPY = /\.(?:original_module|modules_to_save(?:\.(?!weight$|bias$)[^.]+)?)(?=\.)/;

/** A layer's own weight or bias, below its factors. */
const BASE_LAYER = /\.base_layer\.(?:weight|bias)$/;

/** A low-rank change of one matrix: with `initial` factors (A0, B0) the tangent there, B A0 + B0 (A - A0), else B A. */
export interface Factors {
  /** The module's name in the model, without the adapter's prefix. */
  readonly module: string;
  readonly a: StoredTensor;
  readonly b: StoredTensor;
  /** Looks up rows of its weight, [tokens, features]: A has a column for each token. */
  readonly isEmbedding: boolean;
  readonly initial: { readonly a: StoredTensor; readonly b: StoredTensor } | undefined;
}

export interface AdapterTensors {
  /** By the base's name of the weight that they change; canonical for a tower. */
  readonly factors: ReadonlyMap<string, Factors>;
  /** Tensors in the place of the base's, by the same names. */
  readonly replaced: ReadonlyMap<string, StoredTensor>;
  /** The same below factors: weights of layers that were trained too, or saved along, to which the change is added. */
  readonly below: ReadonlyMap<string, StoredTensor>;
}

interface Found {
  a?: StoredTensor;
  b?: StoredTensor;
  isEmbedding?: boolean;
  initial: [place: number, StoredTensor][];
}

/** The name of the base's tensor that one of an adapter (without peft's prefix) belongs to; undefined where it is left out. */
export type NameInBase = (name: string) => string | undefined;

/**
 * Throws CheckpointError for names that are none of these, and for factors without their others.
 */
export function sortAdapterTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  path: string,
  nameInBase: NameInBase,
): AdapterTensors {
  const found = new Map<string, Found>();
  const replaced = new Map<string, StoredTensor>();
  const layers = new Map<string, StoredTensor>();
  const entry = (module: string): Found => {
    const known = found.get(module) ?? { initial: [] };
    found.set(module, known);
    return known;
  };
  for (const [name, stored] of tensors) {
    if (isCopy(name, tensors)) continue;
    const own = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
    const [, module, which] = FACTOR.exec(own) ?? [];
    const [, initialModule, place] = INITIAL.exec(own) ?? [];
    const [, embedding, ofEmbedding] = EMBEDDING_FACTOR.exec(own) ?? [];
    if (module !== undefined) entry(module)[which === "A" ? "a" : "b"] = stored;
    else if (embedding !== undefined) {
      entry(embedding).isEmbedding = true;
      entry(embedding)[ofEmbedding === "A" ? "a" : "b"] = stored;
    } else if (initialModule !== undefined) entry(initialModule).initial.push([Number(place), stored]);
    else if (own.includes("lora_"))
      throw new CheckpointError(
        `${path}: tensor ${quote(name)}: expected factors lora_A and lora_B of layers or embeddings, found others (as DoRA's, or biases). Merge the adapter with peft.`,
      );
    else {
      const known = nameInBase(own.replace(WRAPPER, ""));
      if (known !== undefined) putOnce(BASE_LAYER.test(own) ? layers : replaced, known, stored, path);
    }
  }
  const factors = new Map<string, Factors>();
  for (const [module, pair] of found) {
    const known = nameInBase(`${module}.weight`);
    if (known !== undefined) putOnce(factors, known, completed(module, pair, path), path);
  }
  const below = new Map<string, StoredTensor>();
  for (const [name, stored] of layers)
    if (factors.has(name)) below.set(name, stored);
    else putOnce(replaced, name, stored, path);
  if (factors.size + replaced.size > 0) return { factors, replaced, below };
  throw new CheckpointError(
    `${path}: expected factors of the base's layers, found none among ${tensors.size} tensors. Check that this is the adapter you mean.`,
  );
}

/** Of a tensor beside it, which is the one that peft loads: of a module that was saved whole, as it was before or once more. */
function isCopy(name: string, tensors: ReadonlyMap<string, StoredTensor>): boolean {
  return COPY.test(name) && tensors.has(name.replace(COPY, ""));
}

function putOnce<T>(map: Map<string, T>, name: string, value: T, path: string): void {
  if (map.has(name))
    throw new CheckpointError(
      `${path}: expected one change of ${quote(name)}, found two under different names. Get the adapter again.`,
    );
  map.set(name, value);
}

/** The factors at the beginning have the numbers of their parameters in the layer: A comes before B. */
function completed(module: string, { a, b, isEmbedding = false, initial }: Found, path: string): Factors {
  const [first, second] = initial.toSorted(([one], [other]) => one - other).map(([, stored]) => stored);
  const isComplete = a !== undefined && b !== undefined && [0, 2].includes(initial.length);
  if (!isComplete)
    throw new CheckpointError(
      `${path}: expected both factors of ${quote(module)}, lora_A and lora_B${initial.length > 0 ? " and both of them at the beginning of training (params0_values)" : ""}, found others. Get the complete adapter.`,
    );
  return { module, a, b, isEmbedding, initial: first && second ? { a: first, b: second } : undefined };
}
