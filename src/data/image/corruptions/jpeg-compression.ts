/** JPEG compression with chroma at half resolution, as Pillow's default. */
import sharp from "sharp";
import { type Corruption, strength } from "./corruption.js";

export const jpegCompression: Corruption = {
  name: "jpeg_compression",
  title: "JPEG compression",
  at: (severity, isSmall) => {
    const quality = strength([80, 65, 58, 50, 40], [25, 18, 15, 10, 7], severity, isSmall);
    return async ({ height, width, pixelsHWC }) => {
      const jpeg = await sharp(pixelsHWC, { raw: { width, height, channels: 3 } })
        .jpeg({ quality, chromaSubsampling: "4:2:0", optimiseCoding: false })
        .toBuffer();
      const decoded = await sharp(jpeg).raw().toBuffer();
      return { height, width, pixelsHWC: new Uint8Array(decoded) };
    };
  },
};
