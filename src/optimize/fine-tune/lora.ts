/**
 * LoRA as a way to fine-tune: which matrices get factors, what these are at the start and what the matrices become. As
 * peft trains plain LoRA (tuners/lora/layer.py): A uniform within 1 / sqrt(inputs), which is its
 * kaiming_uniform_(a=sqrt(5)), B zero. What computes with them is
 * ../lora-weights.ts, what is dropped of their inputs dropout.ts. O outputs, I inputs, R ranks.
 */
import { addLowRankProduct } from "../../checkpoint/adapter/low-rank.js";
import { assert, ConfigError } from "../../errors.js";
import { matcherOf } from "../../merge/frozen.js";
import { BLOCK_HALVES, type Model, type ModelTensor, type NamedShape } from "../../model/family.js";
import { createRng } from "../../runtime/rng.js";
import { type FactorNames, factorInputs, type LoraShape, loraSpecs } from "../lora-weights.js";

export interface LoraOptions {
  /** R, the same for all targets. */
  readonly rank: number;
  /** The product of the factors is multiplied with alpha / rank. */
  readonly alpha: number;
  /**
   * Matrices of the model's linear layers: `attention` and `mlp` of all blocks, `all` with those outside of blocks, and
   * glob patterns, each of which must match one. Those of all blocks by default. What is frozen has no factors.
   */
  readonly targets?: readonly string[];
  /** As LoraShape has it. */
  readonly dropout?: number;
}

/** What `targets` may say besides patterns. */
const ALL = "all";

/** Factors of one tensor: it is W + alpha / rank * B A. */
export interface LoraFactors {
  readonly rank: number;
  readonly alpha: number;
  /** [R, I] */
  readonly a: Float32Array;
  /** [O, R] */
  readonly b: Float32Array;
}

export interface StartFactor extends NamedShape {
  /** Of the program. */
  readonly input: string;
  readonly values: Float32Array;
}

/**
 * Throws ConfigError for a rank that is no count or above what a target can have, a pattern without a matrix, and a half
 * of blocks that the model's family does not tell.
 */
export function loraShape(
  { tensors }: Pick<Model, "tensors">,
  { rank, alpha, targets, dropout = 0 }: LoraOptions,
  isFrozen: (name: string) => boolean,
): LoraShape {
  const linear = tensors.filter(({ sharesInput }) => sharesInput !== undefined);
  const isTarget = targetsOf(linear, targets);
  const chosen = linear.filter((tensor) => !isFrozen(tensor.name) && isTarget(tensor));
  const narrow = chosen.find(({ shape }) => rank > Math.min(...shape));
  if (!Number.isSafeInteger(rank) || rank < 1 || narrow !== undefined)
    throw new ConfigError(
      `lora.rank: expected a whole number from 1 to ${Math.min(...chosen.flatMap(({ shape }) => shape))}, the smallest side of a matrix with factors${narrow === undefined ? "" : ` (${narrow.name} is [${narrow.shape.join(", ")}])`}, found ${rank}; choose a smaller rank or other targets`,
    );
  if (!Number.isFinite(alpha) || alpha <= 0)
    throw new ConfigError(`lora.alpha: expected a number above 0, found ${alpha}; twice the rank is usual`);
  if (!(dropout >= 0 && dropout < 1))
    throw new ConfigError(`lora.dropout: expected a share from 0 and below 1, found ${dropout}; 0.05 is usual`);
  return { rank, alpha, targets: new Set(chosen.map(({ name }) => name)), dropout };
}

function targetsOf(linear: readonly ModelTensor[], targets: readonly string[] | undefined) {
  if (targets === undefined) return ({ part }: ModelTensor) => part === "block";
  const halves = BLOCK_HALVES.filter((half) => targets.includes(half));
  const untold = halves.find((half) => !linear.some((tensor) => tensor.half === half));
  if (untold !== undefined)
    throw new ConfigError(
      `lora.targets: expected a model whose family tells the layers of its ${untold}, found one that tells none; give patterns of their names, as ${linear[0]?.name ?? "*.weight"}`,
    );
  const isAll = targets.includes(ALL);
  const names = linear.map(({ name }) => name);
  const roles: readonly string[] = [...BLOCK_HALVES, ALL];
  const matches = matcherOf(
    "lora.targets",
    names,
    targets.filter((target) => !roles.includes(target)),
  );
  return ({ name, half }: ModelTensor) => isAll || (half !== undefined && halves.includes(half)) || matches(name);
}

/** As peft calls them, in the model's names. */
function factorNames(tensor: string): FactorNames {
  const module = tensor.replace(/\.weight$/, "");
  return { a: `${module}.lora_A.weight`, b: `${module}.lora_B.weight` };
}

/** Both factors of every target, in the order of the model's tensors; a pure function of seed and names. */
export function startFactors(model: Pick<Model, "tensors">, shape: LoraShape, seed: number): StartFactor[] {
  const shapes = new Map(loraSpecs(model, shape).map(([input, spec]) => [input, spec.shape]));
  const ofTensor = (name: string): StartFactor[] => {
    const [inputs, names] = [factorInputs(name), factorNames(name)];
    const [shapeOfA = [], shapeOfB = []] = [shapes.get(inputs.a), shapes.get(inputs.b)];
    const [rank = 1, width = 1] = shapeOfA;
    const [outputs = 1] = shapeOfB;
    const rng = createRng("lora", seed, name);
    const most = 1 / Math.sqrt(width);
    const a = Float32Array.from({ length: rank * width }, () => most * (2 * rng.nextFloat() - 1));
    return [
      { name: names.a, input: inputs.a, shape: shapeOfA, values: a },
      { name: names.b, input: inputs.b, shape: shapeOfB, values: new Float32Array(outputs * rank) },
    ];
  };
  return model.tensors.filter(({ name }) => shape.targets.has(name)).flatMap(({ name }) => ofTensor(name));
}

/** Copies of the factors of every target by its name; `values` by the names of the program. */
export function copiedFactors(
  { tensors }: Pick<Model, "tensors">,
  { rank, alpha, targets }: LoraShape,
  values: ReadonlyMap<string, Float32Array>,
): Map<string, LoraFactors> {
  const copyOf = (input: string): Float32Array => {
    const found = values.get(input);
    assert(found !== undefined, `no values of ${input}`);
    return Float32Array.from(found);
  };
  return new Map(
    tensors
      .filter(({ name }) => targets.has(name))
      .map(({ name }): [string, LoraFactors] => {
        const { a, b } = factorInputs(name);
        return [name, { rank, alpha, a: copyOf(a), b: copyOf(b) }];
      }),
  );
}

/** The matrix with its factors: to the bit what adapters in float32 are read as. */
export function withFactors(weightOI: Float32Array, factors: LoraFactors): Float32Array {
  const merged = Float32Array.from(weightOI);
  addLowRankProduct(merged, { ...factors, scaling: factors.alpha / factors.rank });
  return merged;
}
