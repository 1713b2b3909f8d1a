/**
 * Makes mini8 from the packages: data, pretrained tower, heads, experts of two seeds, multi-task model, a second
 * tower, the hard variant, datasheet. Seeded; finished parts are kept and an interrupted training goes on, so that the command
 * can be stopped and repeated at will.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { clipVisionModel, createEngine, type Engine, type ModelTensor } from "../../../dist/internal.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { measureTower, type TowerFacts } from "../datasheet.js";
import { datasheetText } from "../datasheet-text.js";
import { createJudge, type Judge } from "../judge.js";
import { makePartApart } from "../part-apart.js";
import { SuiteRecord } from "../suite-record.js";
import { judgedTasks } from "./judged-tasks.js";
import { keptLogitScale, makeBase, makeExpert, makeHeads, makeMultitask, type Workshop } from "./suite-parts.js";
import { EXPERTS, HARD, SUITE, TASKS, TOWERS, UNSEEN } from "./suite-plan.js";
import { writeSuiteFiles } from "./suite-yaml.js";
import { loadTower, NORMALIZATION, towerOf } from "./towers.js";

const SUITE_DIR = join(import.meta.dirname, "..", "..", "..", "datasets", SUITE);
const WORK_DIR = join(import.meta.dirname, "..", ".work", SUITE);
const PIXELS_DIR = join(WORK_DIR, "pixels");
const RECORD_PATH = join(SUITE_DIR, "record.json");

const DECISIONS =
  "Nothing here depends on a merging method: what was changed while the suite grew (more pretraining, anchors, a longer multi-task training) was decided by these measures.";

const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const names = TASKS.map(({ name }) => name);
const unseen = UNSEEN.map(({ name }) => name);

async function makeSuite(): Promise<void> {
  if (existsSync(join(WORK_DIR, "data.json"))) log("data: kept");
  else await makePartApart(SUITE, "data");
  const { engine, reason } = await createEngine({ engine: "onnx", device: "cpu", threads: 0 });
  log(reason);
  const record = await SuiteRecord.open(RECORD_PATH);
  const logitScales = new Map<string, number>();
  for (const { directory } of TOWERS) {
    logitScales.set(directory, await makeTower(engine, record, directory));
    await writeSuiteFiles({ directory: SUITE_DIR, logitScales, classes: await readClasses() });
  }
  await writeDatasheet(engine, logitScales);
  await engine.close();
}

/** All models of one tower; returns its logit scale. The second tower has one seed of the experts and nothing else. */
async function makeTower(engine: Engine, record: SuiteRecord, directory: string): Promise<number> {
  const workshop = openWorkshop(engine, record, directory);
  await makeBase(workshop);
  const scale = await makeHeads(workshop, names, unseen);
  const isMain = directory === "";
  for (const seed of isMain ? EXPERTS.seeds : EXPERTS.seeds.slice(0, 1))
    for (const task of names) await makeExpert(workshop, scale, { part: `${expertsOf(seed)}/${task}`, task, seed });
  if (isMain) {
    await makeMultitask(workshop, scale, names);
    await makeVariants(workshop, scale);
  }
  return scale;
}

/** Experts of the unseen tasks, and those of mini8-hard; the irrelevant ones are the unseen tasks' own. */
async function makeVariants(workshop: Workshop, scale: number): Promise<void> {
  for (const task of unseen) await makeExpert(workshop, scale, { part: `experts-unseen/${task}`, task, seed: 1 });
  for (const { task, trainedOn, randomLabels, steps } of HARD) {
    if (unseen.includes(trainedOn)) continue;
    const part = `experts-hard/${task}`;
    await makeExpert(workshop, scale, { part, task: trainedOn, seed: 1, randomLabels, steps });
  }
}

const expertsOf = (seed: number): string => (seed === 1 ? "experts" : `experts-seed${seed}`);

function openWorkshop(engine: Engine, record: SuiteRecord, directory: string): Workshop {
  const size = TOWERS.find((tower) => tower.directory === directory)?.size;
  if (size === undefined) throw new Error(`no tower in ${directory}`);
  return {
    engine,
    tower: towerOf(size),
    directory: join(SUITE_DIR, directory),
    prefix: directory === "" ? "" : `${directory}/`,
    pixelsDir: PIXELS_DIR,
    stateDir: join(WORK_DIR, "states"),
    record,
    log,
  };
}

async function readClasses(): Promise<Map<string, string[]>> {
  const classes = new Map<string, string[]>();
  for (const task of [...names, ...unseen]) {
    classes.set(task, JSON.parse(await readFile(join(SUITE_DIR, "tasks", task, "classes.json"), "utf8")));
  }
  return classes;
}

async function measure(engine: Engine, directory: string, logitScale: number): Promise<TowerFacts> {
  const size = TOWERS.find((tower) => tower.directory === directory)?.size;
  if (size === undefined) throw new Error(`no tower in ${directory}`);
  const { config } = towerOf(size);
  const towerDir = join(SUITE_DIR, directory);
  const model = clipVisionModel(config, NORMALIZATION);
  const judge = async (split: string): Promise<Judge> => {
    const { featureSize } = model;
    const options = { suiteDir: SUITE_DIR, towerDir, featureSize, tasks: names, split, logitScale };
    return createJudge(engine, model, await judgedTasks(options));
  };
  const judges = { val: await judge("val"), test: await judge("test") };
  // What follows the blocks is CLIP's post norm and projection.
  const partOf = ({ block, part }: ModelTensor): string =>
    block !== undefined ? `block ${block}` : part === "embeddings" ? part : "projection";
  const parts = new Map(model.tensors.map((tensor) => [tensor.name, partOf(tensor)]));
  const facts = await measureTower({
    judges,
    load: (path) => loadTower(join(towerDir, path), config),
    isMeasured: () => true,
    partOf: (tensor) => parts.get(tensor) ?? "",
    logitScale,
    tasks: names,
    seeds: directory === "" ? EXPERTS.seeds.map(expertsOf) : [expertsOf(1)],
    hasMultitask: directory === "",
    log,
  });
  await judges.val.close();
  await judges.test.close();
  return facts;
}

async function writeDatasheet(engine: Engine, logitScales: ReadonlyMap<string, number>): Promise<void> {
  const towers: Record<string, TowerFacts> = {};
  for (const { directory } of TOWERS)
    towers[directory] = await measure(engine, directory, logitScales.get(directory) ?? 1);
  const classes = Object.fromEntries([...(await readClasses())].map(([task, list]) => [task, list.length]));
  const facts = { tasks: names, classes, towers };
  await writeFileAtomic(join(SUITE_DIR, "datasheet.json"), `${JSON.stringify(facts, undefined, 1)}\n`);
  await writeFileAtomic(
    join(SUITE_DIR, "DATASHEET.md"),
    datasheetText({ suite: SUITE, decisions: DECISIONS, ...facts }),
  );
  for (const [tower, { accuracyTest }] of Object.entries(towers))
    for (const [model, accuracies] of Object.entries(accuracyTest)) {
      const values = Object.values(accuracies);
      log(`${tower || "main"} ${model}: ${(values.reduce((a, b) => a + b, 0) / values.length).toFixed(1)} %`);
    }
}

/** The datasheet of a suite that is there. */
async function measureAgain(): Promise<void> {
  const { engine, reason } = await createEngine({ engine: "onnx", device: "cpu", threads: 0 });
  log(reason);
  const logitScales = new Map<string, number>();
  for (const { directory } of TOWERS) logitScales.set(directory, await keptLogitScale(join(SUITE_DIR, directory)));
  await writeDatasheet(engine, logitScales);
  await engine.close();
}

/** The whole suite, or one part of it: its data, or its datasheet. */
export async function makeMini8(part: string | undefined): Promise<void> {
  await mkdir(SUITE_DIR, { recursive: true });
  if (part === undefined) await makeSuite();
  else if (part === "data") {
    // Reads packages that are not needed, and may not be installed, for anything else.
    const { makeData } = await import("./make-data.js");
    await makeData(SUITE_DIR, WORK_DIR, log);
  } else if (part === "datasheet") await measureAgain();
  else throw new Error(`npm run suite -- mini8 <part>: expected data or datasheet, found ${part}`);
}
