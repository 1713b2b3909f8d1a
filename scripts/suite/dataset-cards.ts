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
    "Attributions: [LICENSES.md](../../LICENSES.md). Made by `npm --prefix scripts/suite run data`.",
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
