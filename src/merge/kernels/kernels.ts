/**
 * The loops that merging spends its time in, and the update of fine-tuning: WebAssembly with SIMD, made from `kernels/`
 * by `npm run build`. All arrays are those of its memory. M models, N elements of a piece.
 */
import { readFileSync } from "node:fs";
import { assert } from "../../errors.js";
import { createKernelMemory, type KernelMemory } from "./kernel-memory.js";

export type HalfDtype = "BF16" | "F16";

export interface Kernels {
  readonly memory: KernelMemory;

  /** bits [N] as float32, exactly. */
  decode(dtype: HalfDtype, bitsN: Uint16Array, valuesN: Float32Array): void;
  /** To nearest even. False if a value or a result is not finite; the results are worth nothing then. */
  encode(dtype: HalfDtype, valuesN: Float32Array, bitsN: Uint16Array): boolean;
  areFinite(valuesN: Float32Array): boolean;

  /** values -= base */
  subtract(valuesN: Float32Array, baseN: Float32Array): void;
  weightedSum(weightsM: readonly number[]): WeightedSum;
  agreedSum(options: AgreedOptions): AgreedSum;
  absoluteSum(valuesN: Float32Array): number;
  dotProduct(aN: Float32Array, bN: Float32Array): number;
  squareSum(valuesN: Float32Array): number;

  /**
   * product [R, C] += left [R, J] right [J, C], all of one type. R is a multiple of 4 and C of 8 (of float64: of 4), the right matrix in panels
   * of as many columns, [C / 8, J, 8]; `inner` is J.
   */
  addProduct<T extends Float32Array | Float64Array>(left: T, panels: T, product: T, inner: number): void;

  /**
   * gram [C, C] += A^T A of a matrix [R, C] in panels of four columns, [C / 4, R, 4]: what is on and below the diagonal,
   * and of above it some.
   */
  addGram(panels: Float64Array, gram: Float64Array, rows: number): void;
  /**
   * matrix -= v w^T + w v^T, and product = matrix next, in rows and columns from `from` on, before which the three
   * vectors are zeros. Rows are `stride` elements, a multiple of 2, as the vectors are.
   */
  updateAndMultiply(
    matrix: Float64Array,
    vectors: Readonly<Record<"v" | "w" | "next" | "product", Float64Array>>,
    from: number,
    size: number,
  ): void;
  /**
   * Rotates neighbouring rows of a matrix of `size` rows in panels of eight columns. A sweep is `last` and `first`, and
   * takes a cosine and a sine for each row i from `last` - 1 down to `first`: row i + 1 becomes s a_i + c a_(i+1), row i
   * c a_i - s a_(i+1).
   */
  rotateRows(matrix: Float64Array, size: number, sweeps: Uint32Array, count: number, rotations: Float64Array): void;
  /**
   * x -= scale_k v_k (v_k . x) for every row x of an even number of `rows`, for the rows v_k of `reflections` from the
   * last to the first, which are zeros up to element k.
   */
  reflectRows(rows: Float64Array, reflections: Float64Array, scales: Float64Array, stride: number): void;

  /** Adds to `table` [2^16] how often each upper half of a magnitude occurs: its bit pattern without the lower 15 bits. */
  countUpper(valuesN: Float32Array, table: Float64Array): void;
  /** Adds to `table` [2^15] how often each lower half occurs beside the upper half `upper`. */
  countLower(valuesN: Float32Array, upper: number, table: Float64Array): void;
  /** Sets to 0 what is below the magnitude of pattern `border`, and what equals it but for the first `equalOnes`. Returns how many of these are left. */
  keepLargest(valuesN: Float32Array, border: number, equalOnes: number): number;
  /** One update of a tensor's piece in place, as torch.optim.AdamW makes it in float32. */
  adamW(piece: AdamWPiece, numbers: AdamWNumbers): void;

  /** merged = base + sum over tasks of diag(a_t) tau_t diag(b_t), of matrices of rows of `stride` elements. */
  addFactored(matrices: FactoredMatrices, mergedRC: Float32Array): void;
  /** Of one task: rowSums = the sums of (g o tau) diag(b) over columns, and columnSums += those of diag(a) (g o tau) over rows. */
  factorSlopes(matrices: FactorGradient, rowSumsR: Float64Array, columnSumsC: Float64Array): void;

  /** Sets to 0 the elements whose random 32-bit number is above `last`: number `index` of the sequence that begins at `start` for the first one. */
  keepRandom(valuesN: Float32Array, start: number, index: number, last: number): void;
}

/** merged = sum over models of weight * values, which may overwrite one of the models. */
export type WeightedSum = (modelsMN: readonly Float32Array[], mergedN: Float32Array) => void;

/**
 * base += sum over models of weight * values, in place, of those products only that have the sign of the sum of all; 0 counts as positive.
 * Divided by the shares of those that count, where `normalize`, and times `lambda`.
 */
export type AgreedSum = (modelsMN: readonly Float32Array[], baseN: Float32Array) => void;

export interface AgreedOptions {
  /** What the values are multiplied with. */
  readonly weightsM: readonly number[];
  /** What counts for the divisor. */
  readonly sharesM: readonly number[];
  readonly normalize: boolean;
  readonly lambda: number;
}

/** Rows of a matrix in K tasks' versions; C is a multiple of 4, with zeros behind a row's last column. */
export interface FactoredMatrices {
  readonly baseRC: Float32Array;
  readonly tausKRC: Float32Array;
  readonly aKR: Float64Array;
  readonly bKC: Float64Array;
}

/** Likewise, of one task. */
export interface FactorGradient {
  readonly gradientRC: Float32Array;
  readonly tauRC: Float32Array;
  readonly aR: Float64Array;
  readonly bC: Float64Array;
}

export interface AdamWPiece {
  readonly parametersN: Float32Array;
  readonly gradientN: Float32Array;
  readonly meanN: Float32Array;
  readonly meanSquareN: Float32Array;
}

export interface AdamWNumbers {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** What the gradient is multiplied with. */
  readonly gradientFactor: number;
  /** Updates made with this one. */
  readonly updates: number;
}

/** `bytes` as of `createKernelMemory`. */
export function loadKernels(bytes: number): Kernels {
  const arrays = createKernelMemory(bytes);
  const { addressOf: at } = arrays;
  const kernel = instantiate(arrays.memory);
  const decoders = { BF16: kernel("decodeBfloat16"), F16: kernel("decodeFloat16") };
  const encoders = { BF16: kernel("encodeBfloat16"), F16: kernel("encodeFloat16") };
  const [areFinite, subtract] = [kernel("areFinite"), kernel("subtract")];
  const [weightedSum, agreedSum] = [kernel("weightedSum"), kernel("agreedSum")];
  const [absoluteSum, dotProduct] = [kernel("absoluteSum"), kernel("dotProduct")];
  const products = { 4: kernel("addProduct"), 8: kernel("addProduct64") };
  const [addGram, updateAndMultiply] = [kernel("addGram64"), kernel("updateAndMultiply")];
  const [rotateRows, reflectRows] = [kernel("rotateRows"), kernel("reflectRows")];
  const [countUpper, countLower] = [kernel("countUpper"), kernel("countLower")];
  const [adamW, squareSum] = [kernel("adamW"), kernel("squareSum")];
  const [addFactored, factorSlopes] = [kernel("addFactored"), kernel("factorSlopes")];
  const [keepLargest, keepRandom] = [kernel("keepLargest"), kernel("keepRandom")];
  const copyOf = (numbers: readonly number[]): Float64Array => {
    const own = arrays.doubles(numbers.length);
    own.set(numbers);
    return own;
  };
  return {
    memory: arrays,
    decode: (dtype, bits, values) => void decoders[dtype](at(bits), at(values), values.length),
    encode: (dtype, values, bits) => encoders[dtype](at(values), at(bits), values.length) !== 0,
    areFinite: (values) => areFinite(at(values), values.length) !== 0,
    subtract: (values, base) => void subtract(at(values), at(base), values.length),
    weightedSum: (weightsM) => {
      const [models, weights] = [arrays.words(weightsM.length), copyOf(weightsM)];
      return (modelsMN, merged) => {
        models.set(modelsMN.map(at));
        weightedSum(at(models), at(weights), weightsM.length, at(merged), merged.length);
      };
    },
    agreedSum: ({ weightsM, sharesM, normalize, lambda }) => {
      const models = arrays.words(weightsM.length);
      const [weights, shares] = [copyOf(weightsM), copyOf(sharesM)];
      return (modelsMN, base) => {
        models.set(modelsMN.map(at));
        const over = [at(models), at(weights), at(shares), weightsM.length] as const;
        agreedSum(...over, at(base), lambda, Number(normalize), base.length);
      };
    },
    absoluteSum: (values) => absoluteSum(at(values), values.length),
    dotProduct: (a, b) => dotProduct(at(a), at(b), a.length),
    squareSum: (values) => squareSum(at(values), values.length),
    addProduct: (left, panels, product, inner) => {
      const multiply = products[left instanceof Float32Array ? 4 : 8];
      multiply(at(left), at(panels), at(product), left.length / inner, inner, panels.length / inner);
    },
    addGram: (panels, gram, rows) => void addGram(at(panels), at(gram), rows, panels.length / rows),
    updateAndMultiply: (matrix, { v, w, next, product }, from, size) =>
      void updateAndMultiply(at(matrix), at(v), at(w), at(next), at(product), from, size, v.length),
    rotateRows: (matrix, size, sweeps, count, rotations) =>
      void rotateRows(at(matrix), size, matrix.length / size / 8, at(sweeps), count, at(rotations)),
    reflectRows: (rows, reflections, scales, stride) =>
      void reflectRows(
        at(rows),
        rows.length / stride,
        at(reflections),
        at(scales),
        reflections.length / stride,
        stride,
      ),
    adamW: ({ parametersN, gradientN, meanN, meanSquareN }, numbers) => {
      const { beta1, beta2, epsilon, learningRate, weightDecay, gradientFactor, updates } = numbers;
      adamW(
        ...([at(parametersN), at(gradientN), at(meanN), at(meanSquareN), parametersN.length] as const),
        ...([gradientFactor, 1 - learningRate * weightDecay, 1 - beta1, beta2, 1 - beta2] as const),
        ...([Math.sqrt(1 - beta2 ** updates), epsilon, learningRate / (1 - beta1 ** updates)] as const),
      );
    },
    countUpper: (values, table) => void countUpper(at(values), values.length, at(table)),
    countLower: (values, upper, table) => void countLower(at(values), values.length, upper, at(table)),
    keepLargest: (values, border, equalOnes) => keepLargest(at(values), values.length, border, equalOnes),
    addFactored: ({ baseRC, tausKRC, aKR, bKC }, merged) => {
      const tasks = tausKRC.length / baseRC.length;
      const [rows, stride] = [aKR.length / tasks, bKC.length / tasks];
      addFactored(at(baseRC), at(tausKRC), at(aKR), at(bKC), tasks, rows, stride, at(merged));
    },
    factorSlopes: ({ gradientRC, tauRC, aR, bC }, rowSums, columnSums) => {
      const sizes = [aR.length, bC.length] as const;
      factorSlopes(at(gradientRC), at(tauRC), at(aR), at(bC), ...sizes, at(rowSums), at(columnSums));
    },
    keepRandom: (values, start, index, last) => void keepRandom(at(values), values.length, start, index, last),
  };
}

/** Compiled when it is first asked for; each memory has an instance of its own. */
let compiled: WebAssembly.Module | undefined;

/** Gives the module's functions by name. */
function instantiate(memory: WebAssembly.Memory): (name: string) => (...numbers: number[]) => number {
  compiled ??= new WebAssembly.Module(readFileSync(new URL("./kernels.wasm", import.meta.url)));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return (name) => {
    const found = exports[name];
    assert(typeof found === "function", `kernels.wasm has no ${name}`);
    return (...numbers) => Number(found(...numbers));
  };
}
