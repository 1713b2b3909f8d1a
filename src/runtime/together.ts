/**
 * Works that use the same resources at the same time. When one fails, the others are told to stop, and its error is thrown when all have
 * ended: whoever closes what they use afterwards closes it under nobody, and no half-written file is left behind.
 */

/** The results of all works, in their order. The signal that each gets is aborted by `signal` and by the first failure. */
export async function together<Results extends readonly unknown[]>(
  works: { readonly [Index in keyof Results]: (signal: AbortSignal) => Promise<Results[Index]> },
  signal?: AbortSignal,
): Promise<Results> {
  const failure = new AbortController();
  const stop = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
  const started = works.map(async (work) => {
    try {
      return await work(stop);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(started);
  failure.signal.throwIfAborted();
  // The boundary: a mapped tuple loses its places in `map`.
  return (await Promise.all(started)) as unknown as Results;
}
