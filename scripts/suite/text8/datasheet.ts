/**
 * The datasheet of text8: what its models are, and what the truncation of the task vectors costs, which is how far what ships is from
 * full fine-tuning: the experts themselves, and the two merges that the published findings stand on.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import type { ModelTensor } from "../../../dist/internal.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { measureTower } from "../datasheet.js";
import { datasheetText, mean, table } from "../datasheet-text.js";
import { createJudge, type Judge } from "../judge.js";
import { readHead, type Workshop } from "./model-parts.js";
import { SUITE, TEXT_TASKS } from "./plan.js";
import { baseWeights, shippedExamples, weightsAt } from "./text-model.js";
import { FULL, LOGIT_SCALE, SEEDS } from "./training-plan.js";

const ROOT = join(import.meta.dirname, "..", "..", "..");
/** In the tables: the folders of the experts, and those of the first seed in full. */
const FULL_NAME = "full";

const DECISIONS =
  "The tasks were taken for the licence of their texts and for what their experts and the pretrained model reach; the settings of the training from a prototype. No merging method had a part in it.";

/** Methods that `adamerge eval` is asked for, with their published settings. */
const MERGES = ["weight_averaging", "tsv_m"] as const;
/** By the names in the tables. */
const SUITE_FILES: ReadonlyMap<string, string> = new Map([
  [FULL_NAME, "suite-full.yaml"],
  ["experts", "suite.yaml"],
  ["experts-seed2", "suite-seed2.yaml"],
]);

const resultSchema = z.object({ average: z.number() });

/** Measures all models and writes datasheet.json and DATASHEET.md. Experts in full are measured where they are. */
export async function writeDatasheet(workshop: Workshop): Promise<void> {
  const { suiteDir, log } = workshop;
  const hasFull = existsSync(join(suiteDir, FULL, "experts", TEXT_TASKS.at(-1)?.name ?? ""));
  if (!hasFull) throw new Error(`${suiteDir}: the datasheet needs the experts in full; make the suite first`);
  const facts = {
    tasks: TEXT_TASKS.map(({ name }) => name),
    classes: Object.fromEntries(TEXT_TASKS.map(({ name, classes }) => [name, classes.length])),
    towers: { "": await measure(workshop) },
  };
  const merges = await measureMerges(suiteDir, log);
  const json = { ...facts, merges };
  await writeFileAtomic(join(suiteDir, "datasheet.json"), `${JSON.stringify(json, undefined, 1)}\n`);
  const { accuracyTest } = facts.towers[""];
  const individual = (experts: string): number => mean(Object.values(accuracyTest[experts] ?? {}));
  const sections = truncationText(workshop, merges, individual);
  const text = datasheetText({ suite: SUITE, decisions: DECISIONS, ...facts }, sections);
  await writeFileAtomic(join(suiteDir, "DATASHEET.md"), text);
  for (const [model, accuracies] of Object.entries(accuracyTest))
    log(`${model}: ${mean(Object.values(accuracies)).toFixed(1)} %`);
}

async function measure(workshop: Workshop) {
  const { engine, base, suiteDir, log } = workshop;
  const { model } = base;
  const judge = async (split: string): Promise<Judge> => {
    const judged = TEXT_TASKS.map(async (task) => ({
      head: await readHead(workshop, task),
      examples: await shippedExamples(base, join(suiteDir, "tasks", task.name), split),
    }));
    return createJudge(engine, model, await Promise.all(judged));
  };
  const judges = { val: await judge("val"), test: await judge("test") };
  const parts = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const partOf = ({ block, part }: ModelTensor): string => (block === undefined ? part : `block ${block}`);
  const facts = await measureTower({
    judges,
    load: (path) =>
      path === "base"
        ? baseWeights(base)
        : weightsAt(join(suiteDir, path.replace(`${FULL_NAME}/`, `${FULL}/experts/`)), base),
    // Of what was trained.
    isMeasured: (tensor) => parts.get(tensor)?.block !== undefined,
    partOf: (tensor) => {
      const found = parts.get(tensor);
      return found === undefined ? "" : partOf(found);
    },
    logitScale: LOGIT_SCALE,
    tasks: TEXT_TASKS.map(({ name }) => name),
    seeds: [...SEEDS.map(({ folder }) => folder), FULL_NAME],
    hasMultitask: true,
    log,
  });
  await judges.val.close();
  await judges.test.close();
  return facts;
}

type Merges = Record<string, Record<string, number>>;

/** Average accuracy on test by suite and method: the product's own command, with published settings. */
async function measureMerges(suiteDir: string, log: (line: string) => void): Promise<Merges> {
  const merges: Merges = {};
  for (const [name, file] of SUITE_FILES) {
    const found: Record<string, number> = {};
    for (const method of MERGES) {
      log(`datasheet: ${method} of ${name}`);
      const config = join(ROOT, "configs", "text8.yaml");
      const args = ["eval", config, `suite=${join(suiteDir, file)}`, "--method", method, "--json", "--quiet"];
      const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args]);
      found[method] = Number(resultSchema.parse(JSON.parse(stdout)).average.toFixed(2));
    }
    merges[name] = found;
  }
  return merges;
}

function truncationText(workshop: Workshop, merges: Merges, individual: (experts: string) => number): string[] {
  const { parts } = workshop.record;
  const missed = (folder: string): string => {
    const errors = TEXT_TASKS.map(({ name }) => parts[`${folder}/${name}`]?.error ?? Number.NaN);
    return `${(100 * mean(errors)).toFixed(0)} %`;
  };
  const row = (title: string, name: string, error: string): string[] => [
    title,
    error,
    individual(name).toFixed(1),
    ...MERGES.map((method) => merges[name]?.[method]?.toFixed(1) ?? "-"),
  ];
  return [
    "## What ships, beside full fine-tuning",
    "",
    "The experts are fully fine-tuned (all of the encoder but its tables of words and positions). What ships of them are their task vectors, each",
    "matrix truncated by SVD and written as an adapter in float16, vectors in full: eight experts take the room of one. Average accuracy in percent on `test`:",
    "",
    ...table(
      ["experts", "missed of the task vector's norm", "individual", ...MERGES],
      [
        row("in full (seed 1, not shipped)", FULL_NAME, "0 %"),
        ...SEEDS.map(({ seed, folder, rank }) => row(`rank ${rank} (seed ${seed})`, folder, missed(folder))),
      ],
    ),
  ];
}
