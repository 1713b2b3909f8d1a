/** The closed forms that RegMean and LOT solve for each linear layer. O outputs, I inputs, R directions. */
import { NumericError } from "../errors.js";
import { choleskyFactor, solveInPlace } from "./cholesky.js";
import { productsWith, transposed } from "./kernels/products.js";
import { symmetricEigen } from "./symmetric-eigen.js";

/** Normal equations of one layer, added up over tasks. */
export interface NormalEquations {
  /** Sum of G, symmetric [I, I]. */
  readonly gramII: Float64Array;
  /** Sum of W G [O, I], W the tasks' weights. */
  readonly productOI: Float64Array;
}

/** No equations yet. */
export function emptyEquations(outputs: number, inputs: number): NormalEquations {
  return { gramII: new Float64Array(inputs * inputs), productOI: new Float64Array(outputs * inputs) };
}

/** Adds one task: its weights [O, I] and the Gram matrix [I, I] of its inputs with the off-diagonal elements times `offDiagonal`. */
export function addTask(
  { gramII, productOI }: NormalEquations,
  weightOI: Float32Array,
  gram: Float64Array,
  offDiagonal: number,
): void {
  const inputs = Math.sqrt(gram.length);
  const outputs = weightOI.length / inputs;
  const ownII = gram.map((value, index) => (index % (inputs + 1) === 0 ? value : value * offDiagonal));
  for (let index = 0; index < ownII.length; index++) gramII[index] = (gramII[index] ?? 0) + (ownII[index] ?? 0);
  productsWith(ownII, outputs, inputs, "float64")(weightOI, productOI);
}

/**
 * W [O, I] with W (sum of G) = sum of W_t G_t. Where the sum is singular, as for an input that is always zero, a ridge of 1e-10 of its mean diagonal is added, growing
 * tenfold until it can be solved. Throws NumericError naming `where` for equations that are not finite.
 */
export function solveEquations({ gramII, productOI }: NormalEquations, where: string): Float32Array {
  const inputs = Math.sqrt(gramII.length);
  const trace = Array.from({ length: inputs }, (_, i) => gramII[i * (inputs + 1)] ?? 0).reduce((a, b) => a + b, 0);
  if (!Number.isFinite(trace)) throw new NumericError(`${where}: the Gram matrix of its inputs is not finite`);
  for (let ridge = 0; ; ridge = ridge === 0 ? 1e-10 : ridge * 10) {
    const left = gramII.slice();
    for (let i = 0; i < inputs; i++) left[i * (inputs + 1)] = (left[i * (inputs + 1)] ?? 0) + (ridge * trace) / inputs;
    const factor = choleskyFactor(left);
    if (factor !== undefined) {
      const solved = productOI.slice();
      solveInPlace(factor, solved);
      return new Float32Array(solved);
    }
    if (ridge > 1) throw new NumericError(`${where}: the Gram matrix of its inputs cannot be inverted`);
  }
}

/**
 * The change T [O, I] of weights W0 for which W0 + T is nearest to the tasks' layers in least squares, of least norm:
 * (sum of W_t G_t - W0 sum of G) (sum of G)^+. Directions of the inputs with an eigenvalue of at most `tolerance` of the
 * largest count as none, and W0 is left alone there. Throws NumericError naming `where` for equations that are not finite.
 */
export function leastChange(
  { gramII, productOI }: NormalEquations,
  weightOI: Float32Array,
  tolerance: number,
  where: string,
): Float32Array {
  const inputs = Math.sqrt(gramII.length);
  const outputs = weightOI.length / inputs;
  if (!gramII.every(Number.isFinite)) throw new NumericError(`${where}: the Gram matrix of its inputs is not finite`);
  const rightOI = productOI.slice();
  productsWith(
    gramII,
    outputs,
    inputs,
    "float64",
  )(
    weightOI.map((value) => -value),
    rightOI,
  );
  const { values, leadingVectors } = symmetricEigen(gramII, inputs);
  const found = values.filter((value) => value > tolerance * (values[0] ?? 0)).length;
  const changeOI = new Float64Array(weightOI.length);
  if (found === 0) return Float32Array.from(changeOI);
  const vectorsRI = leadingVectors(found);
  const alongOR = new Float64Array(outputs * found);
  productsWith(transposed(vectorsRI, inputs), outputs, found, "float64")(rightOI, alongOR);
  for (let index = 0; index < alongOR.length; index++)
    alongOR[index] = (alongOR[index] ?? 0) / (values[index % found] ?? 0);
  productsWith(vectorsRI, outputs, inputs, "float64")(alongOR, changeOI);
  return Float32Array.from(changeOI);
}
