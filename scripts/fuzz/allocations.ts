/**
 * Watches the typed arrays that code asks for by size. Resident memory does not show them: pages that nobody wrote to are not there, and
 * an array of gigabytes that is refused a moment later leaves no trace.
 */

/** Replaces the constructors of typed arrays; `bytes` of the result is the largest size asked for since it was last set to 0. */
export function countAllocations(): { bytes: number } {
  const largest = { bytes: 0 };
  const watch = <
    T extends Uint8ArrayConstructor | Uint16ArrayConstructor | Uint32ArrayConstructor | Float32ArrayConstructor,
  >(
    original: T,
  ): T =>
    new Proxy(original, {
      construct: (target, args, newTarget) => {
        const [first] = args;
        if (typeof first === "number") largest.bytes = Math.max(largest.bytes, first * target.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget);
      },
    });
  globalThis.Uint8Array = watch(Uint8Array);
  globalThis.Uint16Array = watch(Uint16Array);
  globalThis.Uint32Array = watch(Uint32Array);
  globalThis.Float32Array = watch(Float32Array);
  return largest;
}
