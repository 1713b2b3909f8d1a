/** Probabilities of logits, in float64. C classes. */
export function softmax(logitsC: Float32Array, temperature = 1): Float64Array {
  const largest = logitsC.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logitsC, (logit) => Math.exp((logit - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
