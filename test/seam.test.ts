/** Nothing outside a family's folder names its architecture, and nothing outside a kind's folder what its examples are made of. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "./support/cli.js";

const SRC = join(ROOT, "src");
/** Where a name may stand: the folder of its family, and those of kinds, which read the formats that families have named. */
const OWN: readonly (readonly [names: RegExp, folder: RegExp])[] = [
  [
    /\bCLIP(?![a-z])|\b[Cc]lip(?:Family|Vision|Text)|[Vv]ision[ _]?(?:tower|model)|open_?clip/i,
    /^(?:model\/clip|data\/(?:image|text))\//,
  ],
  [
    /\b(?:Distil|Ro)?BERT|\bXLM|\bMiniLM|\bBert[A-Z]|\b(?:bert|roberta|distilbert)\b/,
    /^(?:model\/bert|data\/(?:image|text))\//,
  ],
  [
    /\b(?:ViT(?!-[BLH]\/)|DeiT|DINO)(?:\b|v2|[A-Z])|\bDinov2|\b(?:vit|deit|dinov2)\b/,
    /^(?:model\/vit|data\/(?:image|text))\//,
  ],
  [/pixel/i, /^(?:data\/image|model)\//],
];
/** Lines that name one all the same. */
const ALLOWED: readonly (readonly [file: RegExp, line: RegExp])[] = [
  // The registries, and what the library exports.
  [/^model\/families\.ts$/, /import \{|families: readonly|[cC]lipFamily\b|open_clip/],
  [/^data\/kinds\.ts$/, /import \{/],
  [/^(?:index|internal)\.ts$/, /^export /],
  // Where a formula or a format is from, and on what something was measured.
  [
    /^(?:model\/[a-z-]+|data\/(?:image|text|readers)\/.+)\.ts$/,
    /Parity:|Source:|models\/\w+\/\w+\.py|(?:CLIP|ViT|Bit)ImageProcessor/,
  ],
  [/./, /\d+ (?:MB|GB).*ViT-[BL]\/\d+|ViT-[BL]\/\d+.*\d (?:MB|GB)/],
  [/^model\/transformer-block\.ts$/, /^\/\*\* CLIP's\. \*\/$/],
  [/^data\/readers\/webdataset\.ts$/, /clip-benchmark/],
  // Operators of ONNX and of tfjs, and words that only look alike.
  [/./, /ClipByValue|"Clip"|clipValue|\bclip\(|clips? it|clipped|revision/],
  // The key of a config as it was called before, names of corruptions and of tables that ship, units of figures.
  [/^config\/former-keys\.ts$/, /pixel_cache_gb/],
  [/^config\/(?:data|corruptions)\.ts$/, /"pixelate"/],
  [/^cli\/reproduce\.ts$/, /reproduce clip-vit/],
  [/^report\/plot\.ts$/, /Pixels per unit/],
];

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".ts"));

it("names stay in the folders of their families and kinds", () => {
  expect(files.length).toBeGreaterThan(300);
  const strays = files.flatMap((file) =>
    readFileSync(join(SRC, file), "utf8")
      .split("\n")
      .flatMap((line, index) => {
        const isStray = OWN.some(([names, folder]) => names.test(line) && !folder.test(file));
        const isAllowed = ALLOWED.some(([where, what]) => where.test(file) && what.test(line));
        return isStray && !isAllowed ? [`${file}:${index + 1}: ${line.trim()}`] : [];
      }),
  );
  expect(strays).toEqual([]);
});
