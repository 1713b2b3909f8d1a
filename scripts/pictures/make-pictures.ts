/**
 * `npm run pictures -- RUNS_TEXT8 RUNS_MINI8`: the pictures of README and docs, from two quickstarts' folders (`npm run quickstart --
 * --output ...`, on text8 and on mini8). What they show is what these runs found.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../src/runtime/atomic-file.js";
import { accuracyPicture, type Panel } from "./accuracies.js";
import { overviewPicture } from "./overview.js";

const PICTURES = join(import.meta.dirname, "..", "..", "docs", "pictures");

const summarySchema = z.object({
  rows: z.array(z.object({ method: z.string(), average: z.number() })),
  gains: z.array(z.object({ method: z.string(), over: z.string(), interval: z.tuple([z.number(), z.number()]) })),
});
const coefficientsSchema = z.object({
  tasks: z.array(z.string()),
  groups: z.array(z.string()),
  values: z.array(z.array(z.number())),
});

async function panelOf(runs: string, title: string): Promise<Panel> {
  const text = await readFile(join(runs, "quickstart", "summary.json"), "utf8");
  const { rows, gains } = summarySchema.parse(JSON.parse(text));
  const overAveraging = gains.filter(({ over }) => over === "weight_averaging");
  const intervals = new Map(overAveraging.map(({ method, interval }) => [method, interval]));
  return {
    title,
    rows: rows.map(({ method, average }) => {
      const interval = intervals.get(method);
      return { method, average, ...(interval === undefined ? {} : { interval }) };
    }),
  };
}

const [texts, images] = process.argv.slice(2);
if (texts === undefined || images === undefined)
  throw new Error("npm run pictures -- RUNS_TEXT8 RUNS_MINI8: expected the folders of two quickstarts' runs");
await mkdir(PICTURES, { recursive: true });
const learned = await readFile(join(texts, "quickstart", "adamerging_layer_wise", "coefficients.json"), "utf8");
await writeFileAtomic(
  join(PICTURES, "overview.svg"),
  overviewPicture(
    coefficientsSchema.parse(JSON.parse(learned)),
    "coefficients of layer-wise AdaMerging in npm run quickstart; the stronger the colour, the larger",
  ),
);
const panels = [await panelOf(texts, "text8: pretrained MiniLM"), await panelOf(images, "mini8: small CLIP tower")];
await writeFileAtomic(join(PICTURES, "quickstart.svg"), accuracyPicture(panels));
