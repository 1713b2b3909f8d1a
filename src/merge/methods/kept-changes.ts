/**
 * What a method makes of the task vectors of each tensor before its scale, kept while a search tries scales: singular
 * vectors are found once for all of them. For one method and one model. N elements of one tensor.
 */

/** As much as the changes of a ViT-B/32; what does not fit is computed again. */
const MOST_BYTES = 2 ** 29;

export interface KeptChanges {
  /** What was computed for this tensor before, or what `compute` gives now. */
  changeOf(tensor: string, compute: () => Float32Array): Float32Array;
}

export function createKeptChanges(mostBytes = MOST_BYTES): KeptChanges {
  const changes = new Map<string, Float32Array>();
  let bytesLeft = mostBytes;
  return {
    changeOf: (tensor, compute) => {
      const kept = changes.get(tensor);
      if (kept !== undefined) return kept;
      const changeN = compute();
      if (changeN.byteLength <= bytesLeft) {
        changes.set(tensor, changeN);
        bytesLeft -= changeN.byteLength;
      }
      return changeN;
    },
  };
}
