/**
 * The texts of text8: adapt, val and test of every task as shipped under datasets/text8/tasks, with class names, cards and licences,
 * and, not shipped, the training texts. Same packages, same bytes. Tasks are drawn in the order of the plan; a text that one
 * drew, or one nearly the same, is no longer there for the next.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DataError } from "../../../src/errors.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { fetchPackages } from "./fetch-packages.js";
import { hubTextParquet } from "./hub-text-parquet.js";
import type { SourceText } from "./labelled-text.js";
import { TEXT_TASKS, type TextTaskPlan, UNSEEN_TASKS } from "./plan.js";
import { readBible } from "./sources/bible.js";
import { readBooks } from "./sources/books.js";
import { readCode } from "./sources/code.js";
import { readDictionary } from "./sources/dictionary.js";
import { EMOJI_COPIES, readEmoji } from "./sources/emoji.js";
import { readGame } from "./sources/game.js";
import { readIndustries } from "./sources/industries.js";
import { readLanguages } from "./sources/languages.js";
import { readNounTopics, readPartsOfSpeech } from "./sources/wordnet.js";
import { type ShippedSplit, SPLITS, type Split, splitSizes } from "./split-sizes.js";
import { type CopyRule, type DroppedTexts, distinctTexts, drawSplits, type TextSplits } from "./split-texts.js";
import { textCard } from "./text-cards.js";
import { writeLicences } from "./text-licences.js";
import { writeTrainTexts } from "./train-texts.js";

interface TextSource {
  readonly read: (filesDir: string) => Promise<SourceText[]>;
  readonly copies?: CopyRule;
}

const SOURCES: ReadonlyMap<string, TextSource> = new Map<string, TextSource>([
  ["languages", { read: readLanguages }],
  ["code", { read: readCode }],
  ["dictionary", { read: readDictionary }],
  ["emoji", { read: readEmoji, copies: EMOJI_COPIES }],
  ["game", { read: readGame }],
  ["speech", { read: readPartsOfSpeech }],
  ["bible", { read: readBible }],
  ["books", { read: readBooks }],
  ["industries", { read: readIndustries }],
  ["nouns", { read: readNounTopics }],
]);

/** What datasets/text8/data.json says of a task. */
interface TaskRecord {
  /** Texts that the source gave, and those that were dropped before drawing. */
  readonly source: number;
  readonly dropped: DroppedTexts;
  readonly splits: Record<
    Split,
    { readonly texts: number; readonly perClass: readonly number[]; readonly sha256: string }
  >;
}

/** Makes everything; data.json under `suiteDir` is written last. */
export async function makeTexts(suiteDir: string, workDir: string, log: (line: string) => void): Promise<void> {
  const filesDir = await fetchPackages(workDir, log);
  const drawn: string[] = [];
  const records: Record<string, TaskRecord> = {};
  for (const task of [...TEXT_TASKS, ...UNSEEN_TASKS]) {
    const source = SOURCES.get(task.name);
    if (source === undefined) throw new DataError(`text8: task ${task.name} has no source; add it in make-texts.ts`);
    const all = await source.read(filesDir);
    const { texts, dropped } = distinctTexts(task.name, all, drawn, source.copies);
    const splits = drawSplits(task.name, texts, task.classes.length, splitSizes(task.name));
    for (const split of SPLITS) drawn.push(...splits[split].map(({ text }) => text));
    const record = { source: all.length, dropped, splits: await writeTask(task, splits, suiteDir, workDir) };
    requireClasses(task, record);
    records[task.name] = record;
    log(`texts: ${task.name}: ${SPLITS.map((split) => `${split} ${splits[split].length}`).join(", ")}`);
  }
  await writeLicences(suiteDir, filesDir);
  await writeFileAtomic(join(suiteDir, "data.json"), `${JSON.stringify({ tasks: records }, undefined, 1)}\n`);
}

async function writeTask(
  task: TextTaskPlan,
  splits: TextSplits,
  suiteDir: string,
  workDir: string,
): Promise<TaskRecord["splits"]> {
  const folder = join(suiteDir, "tasks", task.name);
  const facts = (split: Split, content: string | Uint8Array) => ({
    texts: splits[split].length,
    perClass: task.classes.map((_, label) => splits[split].filter((text) => text.label === label).length),
    sha256: createHash("sha256").update(content).digest("hex"),
  });
  const ship = async (split: ShippedSplit) => {
    const file = hubTextParquet(splits[split], task.classes);
    await writeFileAtomic(join(folder, "data", `${split}-00000-of-00001.parquet`), file);
    return facts(split, file);
  };
  await writeFileAtomic(join(folder, "classes.json"), `${JSON.stringify(task.classes, null, 2)}\n`);
  await writeFileAtomic(join(folder, "README.md"), textCard(task, splits));
  return {
    train: facts("train", await writeTrainTexts(workDir, task.name, splits.train)),
    adapt: await ship("adapt"),
    val: await ship("val"),
    test: await ship("test"),
  };
}

/** An expert must have seen what it is tested on. */
function requireClasses(task: TextTaskPlan, { splits }: TaskRecord): void {
  for (const split of SPLITS) {
    const missing = task.classes.filter((_, label) => splits[split].perClass[label] === 0);
    if (missing.length > 0 && (split === "train" || split === "test"))
      throw new DataError(`text8: ${task.name}/${split}: expected every class, found none of ${missing.join("; ")}`);
  }
}
