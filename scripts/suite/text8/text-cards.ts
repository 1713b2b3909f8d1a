/**
 * The README.md of each data set of text8: YAML front matter as the Hugging Face hub reads it, then what the texts are, where they come
 * from and how they were split.
 */
import { stringify } from "yaml";
import { PACKAGES } from "./packages.js";
import type { TextTaskPlan } from "./plan.js";
import { SHIPPED_SPLITS, type Split } from "./split-sizes.js";
import type { TextSplits } from "./split-texts.js";

/** What a text is, how it was cut and what stays together, by task. */
const BODIES: ReadonlyMap<string, string> = new Map([
  [
    "languages",
    "Pieces of nine words (five at least) from the paragraphs of the Universal Declaration of Human Rights in thirty languages of\n" +
      "Latin script. All declarations say the same, so the language alone tells them apart. Split by paragraph.",
  ],
  [
    "code",
    "Four lines of a source file on one line, without comments and without a file's first five lines; at most eight pieces a file,\n" +
      "spread over it. Split by file. A language's files come from one to five packages, so a package's manner helps too.",
  ],
  [
    "dictionary",
    "Senses of Webster's Dictionary of 1913 that it marks as belonging to a subject, without the mark: the words after (Zool.),\n" +
      "(Bot.) and so on, at most 45. Only paragraphs marked [1913 Webster] are taken, which are in the public domain. Split by headword.",
  ],
  [
    "emoji",
    "English name and tags of an emoji; the class is its Unicode group, without flags, skin tones and hair. Variants (man, woman,\n" +
      "direction) and emoji that share half of their words form a component: four of it stay, all in one split.",
  ],
  [
    "game",
    "One or two sentences of the descriptions in the game Dungeon Crawl Stone Soup 0.28; the class is the file they stand in. Entries\n" +
      "written as scripts and the game's literary quotations are left out. Split by entry.",
  ],
  [
    "speech",
    "Glosses of WordNet 3.0 up to the first example, four words at least; the class is the part of speech. Split by synset.",
  ],
  [
    "bible",
    "Verses of the King James Version, 14 words at least and cut after 45, of six groups of books: Leviticus; Samuel and Kings; Psalms;\n" +
      "Proverbs; Paul's letters (without Hebrews); Revelation. Split by chapter.",
  ],
  [
    "books",
    "Sentences of 14 to 45 words from Jane Austen's six novels, Moby Dick, the tales of the Brothers Grimm (in the translation\n" +
      "of Edgar Taylor and Marian Edwardes) and the Presidents' addresses to Congress. Quotation marks and dashes are levelled. Split by\n" +
      "chapter, tale or speech.",
  ],
  [
    "industries",
    "What an industry does, by the North American Industry Classification System of 2017: the first paragraph of its description\n" +
      "without its opening phrase; the class is the sector. Four small sectors are left out. Split by industry (five digits).\n" +
      "A task that is never merged.",
  ],
  [
    "nouns",
    "Glosses of nouns of WordNet 3.0 up to the first example, four words at least; the class is the lexicographer file. No gloss is also in\n" +
      "the task speech. Split by synset. A task that is never merged.",
  ],
]);

export function textCard(task: TextTaskPlan, splits: TextSplits): string {
  const front = stringify({
    pretty_name: task.title,
    license: hubLicence(task),
    language: task.name === "languages" ? ["multilingual"] : ["en"],
    task_categories: ["text-classification"],
    size_categories: [sizeCategory(splits)],
    configs: [
      { config_name: "default", data_files: SHIPPED_SPLITS.map((split) => ({ split, path: `data/${split}-*` })) },
    ],
    dataset_info: {
      features: [
        { name: "text", dtype: "string" },
        { name: "label", dtype: { class_label: { names: Object.fromEntries(task.classes.entries()) } } },
      ],
    },
  });
  return [
    "---",
    `${front}---`,
    "",
    `# ${task.title}`,
    "",
    BODIES.get(task.name) ?? "",
    "",
    "| split | texts | texts per class |",
    "|---|---|---|",
    ...SHIPPED_SPLITS.map((split) => `| ${split} | ${splits[split].length} | ${perClass(task, splits, split)} |`),
    "",
    `Trained on: ${splits.train.length} texts that are not shipped. \`adapt\` is for optimizing coefficients (labels unused), \`val\` for`,
    "choosing, `test` for reporting. No two texts of any split of any task have the same words, nor nearly the same (Jaccard",
    "similarity of their words 0.8), variants of an emoji apart, which share a split. Frequent classes were capped.",
    "",
    `Template of the zero-shot head: "${task.template}"`,
    "",
    "## Sources",
    "",
    ...PACKAGES.filter(({ tasks }) => tasks.includes(task.name)).map(
      ({ registry, name, version, licence }) => `- ${registry} ${name} ${version} (${licence})`,
    ),
    "",
    "Attributions: [LICENSES.md](../../LICENSES.md). Made by `npm run suite -- text8`.",
    "",
  ].join("\n");
}

/** The hub has its own lower-case identifiers, and "other" for what they do not cover. */
const HUB_LICENCES: ReadonlyMap<string, string> = new Map([
  ["languages", "mit"],
  ["game", "gpl-2.0"],
]);

function hubLicence({ name, licence }: TextTaskPlan): string {
  return HUB_LICENCES.get(name) ?? (licence.startsWith("public domain") ? "pddl" : "other");
}

function sizeCategory(splits: TextSplits): string {
  return SHIPPED_SPLITS.reduce((sum, split) => sum + splits[split].length, 0) < 1000 ? "n<1K" : "1K<n<10K";
}

function perClass(task: TextTaskPlan, splits: TextSplits, split: Split): string {
  const counts = task.classes.map((_, label) => splits[split].filter((text) => text.label === label).length);
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  return low === high ? `${low}` : `${low} to ${high}`;
}
