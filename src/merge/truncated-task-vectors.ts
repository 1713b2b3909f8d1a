/**
 * Task vectors of a matrix with their leading singular directions alone, as CART has them (Choi et al. 2024,
 * arXiv:2412.12153): of U S V^T the first r = floor(ratio * min(R, C)) terms, one at least. R rows, C columns.
 */
import { timesTransposed } from "./orthogonal-task-vectors.js";
import { leadingTriples } from "./singular-triples.js";

/** SVD_r of one task vector [R, C], in float64. */
export function truncatedTaskVector(tauRC: Float32Array | Float64Array, columns: number, ratio: number): Float64Array {
  const rank = Math.max(1, Math.floor(ratio * Math.min(columns, tauRC.length / columns)));
  const { u, values, v } = leadingTriples(tauRC, columns, rank);
  const scaled = u.map((value, index) => value * (values[index % rank] ?? 0));
  return timesTransposed(scaled, v, rank, tauRC.length, columns);
}
