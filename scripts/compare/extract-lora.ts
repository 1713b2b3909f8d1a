/**
 * `compare extract-lora`: the same pair of models given to `adamerge extract-lora` and to mergekit-extract-lora, at the
 * same rank: what the factors of each miss of every matrix's change, relative to its norm, and the time of the commands.
 * Without a pair of yours a base and a model in the Llama layout are made, whose change has singular values that fall
 * off as those of trained models do.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { type Checkpoint, openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { readModelFile } from "../../dist/checkpoint/model-files.js";
import { readStoredFloat32 } from "../../dist/checkpoint/stored-tensor.js";
import { factorsError } from "../../dist/merge/low-rank-approximation.js";
import { findPython } from "./find-python.js";
import { finish } from "./finish.js";
import { writeDecayingPair } from "./made-pair.js";

const CLI = join(import.meta.dirname, "..", "..", "dist", "cli", "main.js");
const PREFIX = "base_model.model.";
/** What the errors of a matrix may differ by: both are shares of its change. mergekit decomposes in float32. */
const MOST = 1e-5;

interface Arguments {
  readonly python: string | undefined;
  readonly base: string | undefined;
  readonly model: string | undefined;
  readonly rank: number;
  readonly json: string | undefined;
}

export const extractLoraCommand: CommandModule<object, Arguments> = {
  command: "extract-lora",
  describe: "A model's difference from its base as an adapter, by mergekit and by us: what each matrix misses",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with mergekit (default: python3)" })
      .option("base", { type: "string", describe: "The folder of a base; default: one that is made" })
      .option("model", { type: "string", describe: "The folder of a model fine-tuned from it" })
      .option("rank", { type: "number", default: 16, describe: "Of every matrix" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, base: givenBase, model: givenModel, rank }: Arguments) {
  if ((givenBase === undefined) !== (givenModel === undefined))
    throw new Error("expected both --base and --model, or neither of them, found one");
  const packages = ["torch", "transformers", "mergekit"];
  const { command, versions } = findPython(asked, { modules: packages, packages, target: "extract-lora" });
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  try {
    const [base, model] =
      givenBase === undefined || givenModel === undefined
        ? await writeDecayingPair(folder)
        : [resolve(givenBase), resolve(givenModel)];
    const [ours, theirs] = [join(folder, "ours"), join(folder, "mergekit")];
    const seconds = {
      ours: timed(process.execPath, [CLI, "extract-lora", base, model, "--rank", `${rank}`, "-o", ours, "--quiet"]),
      mergekit: timed(mergekitCommand(command), [
        ...["--model", model, "--base-model", base, "--out-path", theirs, "--max-rank", `${rank}`],
      ]),
    };
    const matrices = await errorsOf(await openCheckpoint(base), await openCheckpoint(model), [ours, theirs]);
    const apart = matrices.map(({ errors }) => Math.abs((errors[0] ?? Number.NaN) - (errors[1] ?? Number.NaN)));
    const ofOurs = matrices.map(({ errors }) => errors[0] ?? Number.NaN);
    const largest = Math.max(...apart);
    const pair = givenBase === undefined ? "" : ` --base ${basename(base)} --model ${basename(model)}`;
    return {
      what: "a model's difference from its base as factors of one rank, by mergekit-extract-lora and by adamerge extract-lora; errors are norms of what is missed over the norm of the change",
      command: `npm run compare -- extract-lora --python PYTHON${pair} --rank ${rank}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      matrices: matrices.length,
      errors_of_matrices: { least: Math.min(...ofOurs), largest: Math.max(...ofOurs) },
      errors_apart_at_most: largest,
      where: matrices[apart.indexOf(largest)],
      seconds,
      asked_at_most: MOST,
      as_asked: matrices.length > 0 && largest < MOST,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The command beside the Python that has the package. */
function mergekitCommand(python: string): string {
  const { stdout } = spawnSync(python, ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" });
  return join(dirname(stdout.trim()), "mergekit-extract-lora");
}

/** Wall-clock seconds of a command. Throws where it fails. */
function timed(command: string, args: readonly string[]): number {
  const began = performance.now();
  execFileSync(command, [...args], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, HF_HUB_OFFLINE: "1" },
  });
  return Math.round((performance.now() - began) / 100) / 10;
}

/** Of each matrix that both adapters have factors of: what each of them misses. */
async function errorsOf(base: Checkpoint, model: Checkpoint, adapters: readonly string[]) {
  const opened = await Promise.all(adapters.map((folder) => readModelFile(join(folder, "adapter_model.safetensors"))));
  const matrices: { name: string; shape: readonly number[]; errors: number[] }[] = [];
  for (const [name, { shape }] of base.tensors) {
    const module = PREFIX + name.replace(/\.weight$/, "");
    if (!opened.every(({ tensors }) => tensors.has(`${module}.lora_A.weight`))) continue;
    const [before, after] = [await base.readFloat32(name), await model.readFloat32(name)];
    const change = after.map((value, index) => value - (before[index] ?? 0));
    const errors: number[] = [];
    for (const { tensors } of opened) {
      const [a, b] = [tensors.get(`${module}.lora_A.weight`), tensors.get(`${module}.lora_B.weight`)];
      if (a === undefined || b === undefined) throw new Error(`${name}: no factors`);
      const factors = { a: await readStoredFloat32(a), b: await readStoredFloat32(b) };
      const { difference, norm } = factorsError(change, shape[1] ?? 1, factors);
      errors.push(difference / norm);
    }
    matrices.push({ name, shape, errors });
  }
  return matrices;
}
