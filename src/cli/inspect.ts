/** `adamerge inspect`: what is in a checkpoint (from its header alone), a coefficients.json or a run folder. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../errors.js";
import { alignedText } from "../report/table.js";
import type { CoefficientsRecord } from "../track/coefficients-file.js";
import { EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

const DECIMALS = 4;

export const inspectVerb = defineVerb({
  name: "inspect",
  usage: "<path>",
  describe: "Show the tensors of a checkpoint, or the coefficients of a run",
  positionals: {
    path: {
      describe: "A .safetensors or PyTorch file, a checkpoint folder, a coefficients.json or a run folder",
      type: "string",
      demandOption: true,
    },
  },
  options: { json: jsonOption },
  examples: [
    ["inspect runs/mini8/default", "Coefficients a run learned, a row per group"],
    ["inspect model.safetensors --json", "Names, shapes and dtypes of the tensors"],
  ],
  async run({ path: given, json }, io) {
    const file = path.resolve(io.cwd, given);
    const names = await namesIn(file, given);
    if (names.includes("coefficients.json")) await showCoefficients(path.join(file, "coefficients.json"), json, io);
    else if (names.length === 0 && file.endsWith(".json")) await showCoefficients(file, json, io);
    else {
      const shards = modelFilesAmong(names);
      if (names.length > 0 && shards.length === 0)
        throw nothingToShow(given, `a folder with ${names.slice(0, 5).join(", ")}`);
      await showCheckpoint(shards.length > 0 ? shards.map((name) => path.join(file, name)) : [file], json, io);
    }
    return EXIT_OK;
  },
});

/** PyTorch's only where there are no safetensors. */
function modelFilesAmong(names: readonly string[]): string[] {
  const safetensors = names.filter((name) => name.endsWith(".safetensors"));
  return (safetensors.length > 0 ? safetensors : names.filter((name) => /\.(bin|pt|pth)$/.test(name))).toSorted();
}

/** The entries of a folder; none for a file. */
async function namesIn(file: string, given: string): Promise<string[]> {
  const kind = await stat(file).catch(() => undefined);
  if (kind === undefined) throw nothingToShow(given, "nothing");
  if (!kind.isDirectory()) return [];
  const names = await readdir(file);
  if (names.length === 0) throw nothingToShow(given, "an empty folder");
  return names;
}

function nothingToShow(given: string, found: string): CheckpointError {
  const expected = "a .safetensors or PyTorch file, a folder that holds some, a coefficients.json or a run folder";
  return new CheckpointError(`${given}: expected ${expected}, found ${found}. Check the path`);
}

async function showCoefficients(file: string, json: boolean, io: CliIo): Promise<void> {
  const { readCoefficients } = await import("../track/coefficients-file.js");
  const { coefficientCells } = await import("../report/model-card.js");
  const record = await readCoefficients(file);
  if (json) printJson(io, record);
  else io.stdout.write(`${alignedText(groupCells(record))}\n\n${alignedText(coefficientCells(record))}\n`);
}

/** A row per group, a column per task. */
function groupCells({ granularity, tasks, groups, values }: CoefficientsRecord): string[][] {
  const rows = groups.map((group, column) => [
    group,
    ...tasks.map((_, row) => (values[row]?.[column] ?? Number.NaN).toFixed(DECIMALS)),
  ]);
  return [[`group (${granularity})`, ...tasks], ...rows];
}

async function showCheckpoint(files: readonly string[], json: boolean, io: CliIo): Promise<void> {
  const { readModelFile } = await import("../checkpoint/model-files.js");
  const { elementBytes } = await import("../checkpoint/stored-tensor.js");
  const models = await Promise.all(files.map((file) => readModelFile(file)));
  const tensors = models.flatMap((model) =>
    [...new Set(model.tensors.values())].map(({ name, dtype, shape, file }) => ({
      name,
      dtype,
      shape,
      sizeBytes: elementBytes({ dtype, shape }),
      file: path.basename(file.path),
    })),
  );
  if (json) return printJson(io, tensors);
  const cells = tensors.map(({ name, dtype, shape, sizeBytes }) => [
    name,
    dtype,
    shape.join(" x ") || "scalar",
    `${sizeBytes}`,
  ]);
  const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const bytes = tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const total = `${tensors.length} tensors, ${elements} elements, ${(bytes / 1e6).toFixed(1)} MB in ${files.length} file(s)`;
  io.stdout.write(`${alignedText([["tensor", "dtype", "shape", "bytes"], ...cells])}\n\n${total}\n`);
}
