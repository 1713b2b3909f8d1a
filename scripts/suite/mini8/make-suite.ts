/**
 * Makes mini8 from the packages: data, pretrained tower, heads, experts of two seeds, multi-task model, a second
 * tower, the hard variant, datasheet. Seeded; finished parts are kept and an interrupted training goes on, so that the command
 * can be stopped and repeated at will.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createEngine, type Engine } from "../../../dist/index.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { SuiteRecord } from "../suite-record.js";
import { measureTower, type TowerFacts } from "./datasheet.js";
import { datasheetText } from "./datasheet-text.js";
import { makeData } from "./make-data.js";
import { makeBase, makeExpert, makeHeads, makeMultitask, type Workshop } from "./suite-parts.js";
import { EXPERTS, HARD, SUITE, TASKS, TOWERS, UNSEEN } from "./suite-plan.js";
import { writeSuiteFiles } from "./suite-yaml.js";
import { towerOf } from "./towers.js";

const SUITE_DIR = join(import.meta.dirname, "..", "..", "..", "datasets", SUITE);
const WORK_DIR = join(import.meta.dirname, "..", ".work", SUITE);
const PIXELS_DIR = join(WORK_DIR, "pixels");
const RECORD_PATH = join(SUITE_DIR, "record.json");

const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const names = TASKS.map(({ name }) => name);
const unseen = UNSEEN.map(({ name }) => name);

async function makeSuite(): Promise<void> {
  if (existsSync(join(WORK_DIR, "data.json"))) log("data: kept");
  else await makeDataApart();
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

/**
 * Makes the data in a process of its own: what it leaves in the heap (hundreds of thousands of small arrays) makes every garbage
 * collection of a training in the same process slow, which halves its speed.
 */
async function makeDataApart(): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1, 2), SUITE, "data"], {
    stdio: "inherit",
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`data: the process that makes it ended with ${code}`);
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
    const part = `experts-hard/${task}`;
    if (unseen.includes(trainedOn)) {
      const target = join(workshop.directory, part);
      if (!existsSync(join(target, "model.safetensors")))
        await cp(join(workshop.directory, "experts-unseen", trainedOn), target, { recursive: true });
    } else await makeExpert(workshop, scale, { part, task: trainedOn, seed: 1, randomLabels, steps });
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

async function writeDatasheet(engine: Engine, logitScales: ReadonlyMap<string, number>): Promise<void> {
  const towers: Record<string, TowerFacts> = {};
  for (const { directory, size } of TOWERS) {
    towers[directory] = await measureTower({
      engine,
      suiteDir: SUITE_DIR,
      towerDir: join(SUITE_DIR, directory),
      tower: towerOf(size),
      logitScale: logitScales.get(directory) ?? 1,
      tasks: names,
      seeds: directory === "" ? EXPERTS.seeds.map(expertsOf) : [expertsOf(1)],
      hasMultitask: directory === "",
      log,
    });
  }
  const classes = Object.fromEntries([...(await readClasses())].map(([task, list]) => [task, list.length]));
  const facts = { tasks: names, classes, towers };
  await writeFileAtomic(join(SUITE_DIR, "datasheet.json"), `${JSON.stringify(facts, undefined, 1)}\n`);
  await writeFileAtomic(join(SUITE_DIR, "DATASHEET.md"), datasheetText(facts));
  for (const [tower, { accuracyTest }] of Object.entries(towers))
    for (const [model, accuracies] of Object.entries(accuracyTest)) {
      const values = Object.values(accuracies);
      log(`${tower || "main"} ${model}: ${(values.reduce((a, b) => a + b, 0) / values.length).toFixed(1)} %`);
    }
}

/** The whole suite, or its data alone where `part` is "data". */
export async function makeMini8(part: string | undefined): Promise<void> {
  await mkdir(SUITE_DIR, { recursive: true });
  if (part === "data") await makeData(SUITE_DIR, WORK_DIR, log);
  else await makeSuite();
}
