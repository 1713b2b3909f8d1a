/**
 * The bytes of many images of one size, in blocks of whole images: a buffer of Node 20 ends at 4 GiB, and the test images of a public task
 * (PatchCamelyon, 32,768 of 224 x 224 pixels) have more.
 */

/** Small enough to be found in fragmented memory, large enough that splits have few. */
const BLOCK_BYTES = 2 ** 30;

export interface ImageBlocks {
  /** Of one image. */
  readonly imageBytes: number;
  /** Images of every block but the last. */
  readonly perBlock: number;
  readonly blocks: readonly Uint8Array[];
}

/** Room for `size` images, all zeros. */
export function emptyImages(size: number, imageBytes: number, blockBytes = BLOCK_BYTES): ImageBlocks {
  const perBlock = Math.max(1, Math.floor(blockBytes / imageBytes));
  const blocks = Array.from(
    { length: Math.ceil(size / perBlock) },
    (_, block) => new Uint8Array(Math.min(perBlock, size - block * perBlock) * imageBytes),
  );
  return { imageBytes, perBlock, blocks };
}

/** Images that lie one after another in `bytes`, not copied. */
export function imagesOf(bytes: Uint8Array, imageBytes: number): ImageBlocks {
  return { imageBytes, perBlock: bytes.length / imageBytes, blocks: [bytes] };
}

/** The bytes of one image, not copied. */
export function imageAt({ imageBytes, perBlock, blocks }: ImageBlocks, index: number): Uint8Array {
  const block = blocks[Math.floor(index / perBlock)];
  const first = (index % perBlock) * imageBytes;
  if (block === undefined || first + imageBytes > block.length) throw new RangeError(`there is no image ${index}`);
  return block.subarray(first, first + imageBytes);
}
