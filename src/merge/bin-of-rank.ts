/** Selecting by counts: the bin of a histogram that a rank falls in. */

/** The bin that holds the value of this rank (from 0), and its rank (from 0) among the values of the bin; a rank behind all: the last bin. */
export function binOfRank(counts: Float64Array, rank: number): { readonly bin: number; readonly before: number } {
  let left = rank;
  for (let bin = 0; bin < counts.length; bin++) {
    const inBin = counts[bin] ?? 0;
    if (left < inBin) return { bin, before: left };
    left -= inBin;
  }
  return { bin: counts.length - 1, before: left };
}
