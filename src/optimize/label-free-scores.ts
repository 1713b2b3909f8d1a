/**
 * What a merged model is worth on examples without labels; lower is better, 0 to 1 (entropy: 0 to 2). N examples, C classes; q the merged model's
 * probabilities, p its expert's.
 *
 * Differs from the entropy that AdaMerging minimises: entropy alone is lowest for a model that predicts one class, so the drift of predicted class shares is added.
 * With experts no such term is needed, since the mean total variation is never below that of the means.
 */

/** Mean over the examples of the total variation sum_c |p - q| / 2: how often the best coupling of both predictions disagrees. */
export function meanTotalVariation(ownNC: ArrayLike<number>, expertNC: ArrayLike<number>, classes: number): number {
  let sum = 0;
  for (let at = 0; at < ownNC.length; at++)
    sum += Math.abs((ownNC[at] ?? Number.NaN) - (expertNC[at] ?? Number.NaN)) / 2;
  return (sum * classes) / ownNC.length;
}

/** Mean over the examples of the entropy over log C, plus the total variation between the mean predictions and those that a fit began with. */
export function entropyAndDrift(ownNC: ArrayLike<number>, startSharesC: ArrayLike<number>, classes: number): number {
  let entropy = 0;
  for (let at = 0; at < ownNC.length; at++) {
    const q = ownNC[at] ?? Number.NaN;
    if (q !== 0) entropy -= q * Math.log(q);
  }
  const normalised = (entropy * classes) / ownNC.length / Math.log(Math.max(2, classes));
  return normalised + meanTotalVariation(meanPrediction(ownNC, classes), startSharesC, classes);
}

/** Mean probabilities [C] over the examples. */
export function meanPrediction(ownNC: ArrayLike<number>, classes: number): Float64Array {
  const sharesC = new Float64Array(classes);
  const examples = ownNC.length / classes;
  for (let at = 0; at < ownNC.length; at++)
    sharesC[at % classes] = (sharesC[at % classes] ?? 0) + (ownNC[at] ?? Number.NaN) / examples;
  return sharesC;
}
