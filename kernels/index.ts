/**
 * The loops that merging and fine-tuning spend their time in, in AssemblyScript: a language with TypeScript's syntax
 * that is compiled to WebAssembly with SIMD. `src/merge/kernels/kernels.ts` loads them and says how they are called.
 * Arrays are addresses in the module's memory; `count` elements of them are worked on, rounded up to whole vectors of
 * four, so arrays end at multiples of 16 bytes and hold zeros behind their last element.
 */

export { reflectRows, rotateRows, updateAndMultiply } from "./eigen";
export { addFactored, factorSlopes } from "./factors";
export { areFinite, decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "./halves";
export { countLower, countUpper, keepLargest, keepRandom } from "./kept";
export { addGram64, addProduct, addProduct64 } from "./products";
export { absoluteSum, agreedSum, dotProduct, subtract, weightedSum } from "./sums";
export { adamW, squareSum } from "./updates";
