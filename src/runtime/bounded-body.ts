/**
 * The body of a server's answer, whole, in bounded memory and time: bytes are counted as they come out of decompression, and a server that sends one
 * byte now and then does not hold the work for ever.
 */

export interface BodyBounds {
  readonly mostBytes: number;
  readonly mostMs: number;
}

/** The body is larger or slower than its bounds. The message completes "expected ..., found ...". */
export class BodyBoundError extends Error {
  override readonly name = "BodyBoundError";
}

/** All pieces of a body. What reading throws passes through; how long a piece may take is the caller's. */
export async function readBody(pieces: AsyncIterable<Uint8Array>, bounds: BodyBounds): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  let size = 0;
  const start = performance.now();
  // Leaving the loop early ends the stream.
  for await (const piece of pieces) {
    size += piece.byteLength;
    if (size > bounds.mostBytes) throw new BodyBoundError(`an answer of more than ${bounds.mostBytes} bytes`);
    if (performance.now() - start > bounds.mostMs)
      throw new BodyBoundError(`an answer that is not complete after ${bounds.mostMs / 1000} s`);
    kept.push(piece);
  }
  return Buffer.concat(kept);
}
