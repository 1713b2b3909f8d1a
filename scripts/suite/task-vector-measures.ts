/**
 * Geometry of task vectors: norms against the base, cosines, and how the change is spread over depth. Sums in float64.
 * Source of the measures: Ilharco et al. 2023 (arXiv:2212.04089, figure 5, cosines between task vectors).
 */

export type Weights = ReadonlyMap<string, Float32Array>;

/** Expert minus base, tensor by tensor. Throws when a tensor is missing or of another size. */
export function taskVector(base: Weights, expert: Weights): Map<string, Float64Array> {
  return new Map(
    [...base].map(([name, from]) => {
      const to = expert.get(name);
      if (to?.length !== from.length) throw new Error(`expert: no tensor ${name} of ${from.length} numbers`);
      // A plain loop: `from` with a function takes seconds for a model.
      const change = new Float64Array(from.length);
      for (let index = 0; index < change.length; index++) change[index] = (to[index] ?? 0) - (from[index] ?? 0);
      return [name, change];
    }),
  );
}

type Vector = ReadonlyMap<string, ArrayLike<number>>;

export function dot(a: Vector, b: Vector): number {
  let total = 0;
  for (const [name, left] of a) {
    const right = b.get(name);
    if (right === undefined) throw new Error(`no tensor ${name}`);
    for (let index = 0; index < left.length; index++) total += (left[index] ?? 0) * (right[index] ?? 0);
  }
  return total;
}

export const norm = (vector: Vector): number => Math.sqrt(dot(vector, vector));

export const cosine = (a: Vector, b: Vector): number => dot(a, b) / (norm(a) * norm(b));

/** ||tau_l|| / ||theta0_l|| of each part in depth that `partOf` names for a tensor; the base's tensors are in forward order. */
export function depthProfile(
  base: Weights,
  vector: Vector,
  partOf: (tensor: string) => string,
): { readonly part: string; readonly ratio: number }[] {
  const parts = new Map<string, string[]>();
  for (const name of base.keys()) {
    const part = partOf(name);
    parts.set(part, [...(parts.get(part) ?? []), name]);
  }
  const only = (from: Vector, names: readonly string[]): Vector =>
    new Map(names.map((name) => [name, from.get(name) ?? []]));
  return [...parts].map(([part, names]) => ({ part, ratio: norm(only(vector, names)) / norm(only(base, names)) }));
}

/** base + alpha * tau in float32, as a merge makes it. */
export function along(base: Weights, vector: Vector, alpha: number): Map<string, Float32Array> {
  return new Map(
    [...base].map(([name, from]) => {
      const change = vector.get(name) ?? [];
      const moved = new Float32Array(from.length);
      for (let index = 0; index < moved.length; index++)
        moved[index] = (from[index] ?? 0) + alpha * (change[index] ?? 0);
      return [name, moved];
    }),
  );
}
