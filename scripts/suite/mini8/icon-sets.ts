/**
 * Reads an Iconify icon set (npm @iconify-json/<set>) and draws its icons.
 * Format: https://iconify.design/docs/types/iconify-json.html (icons, aliases, default sizes, categories).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { z } from "zod";
import { DataError } from "../../../src/errors.js";

const boxSchema = z.object({
  left: z.number().optional(),
  top: z.number().optional(),
  width: z.number().optional(),
  height: z.number().optional(),
});
const iconSchema = boxSchema.extend({ body: z.string() });
const setSchema = boxSchema.extend({
  icons: z.record(z.string(), iconSchema),
  aliases: z.record(z.string(), z.object({ parent: z.string() })).optional(),
});
const metadataSchema = z.object({ categories: z.record(z.string(), z.array(z.string())).optional() });

export interface IconSet {
  readonly name: string;
  readonly icons: ReadonlyMap<string, z.infer<typeof iconSchema>>;
  /** Other names of an icon. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** Icon names of every category. */
  readonly categories: ReadonlyMap<string, readonly string[]>;
  readonly box: z.infer<typeof boxSchema>;
}

/** The set `name` under a node_modules folder. Throws DataError when it is not installed. */
export async function readIconSet(modules: string, name: string): Promise<IconSet> {
  const folder = join(modules, "@iconify-json", name);
  const parsed = setSchema.parse(await readJson(join(folder, "icons.json")));
  const metadata = metadataSchema.parse(await readJson(join(folder, "metadata.json")));
  const aliases = new Map<string, string[]>();
  for (const [alias, { parent }] of Object.entries(parsed.aliases ?? {})) {
    aliases.set(parent, [...(aliases.get(parent) ?? []), alias]);
  }
  return {
    name,
    icons: new Map(Object.entries(parsed.icons)),
    aliases,
    categories: new Map(Object.entries(metadata.categories ?? {})),
    box: parsed,
  };
}

/**
 * A `side` x `side` pixel RGB drawing (uint8 HWC) of the icon, fitted inside `margin` pixels, on an opaque
 * background; `recolour` may change the SVG source. Throws DataError when the set lacks the icon.
 */
export async function drawIcon(
  set: IconSet,
  name: string,
  { side, margin, background }: { side: number; margin: number; background: string },
  recolour: (body: string) => string = (body) => body,
): Promise<Uint8Array> {
  const icon = set.icons.get(name);
  if (icon === undefined)
    throw new DataError(`@iconify-json/${set.name}: no icon "${name}"; run npm ci in this folder`);
  const { left = 0, top = 0, width = 16, height = 16 } = { ...set.box, ...icon };
  const longer = Math.max(width, height);
  const border = (longer * margin) / (side - 2 * margin);
  const span = longer + 2 * border;
  const x = left - (span - width) / 2;
  const y = top - (span - height) / 2;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
    `width="${side}" height="${side}" viewBox="${x} ${y} ${span} ${span}">${recolour(icon.body)}</svg>`;
  const pixels = await sharp(Buffer.from(svg)).flatten({ background }).toColourspace("srgb").raw().toBuffer();
  if (pixels.byteLength !== side * side * 3)
    throw new DataError(`@iconify-json/${set.name}: "${name}" is not drawable`);
  return new Uint8Array(pixels);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new DataError(`${path}: expected a JSON file; run npm ci in this folder`, { cause: error });
  }
}
