/** `adamerge inspect`: what is in a checkpoint (from its header alone), a coefficients.json or a run folder. */
import type { CoefficientsRecord, DescribedTensor } from "../index.js";
import { alignedText } from "../report/table.js";
import { EXIT_OK } from "./exit-codes.js";
import { withFittedNames } from "./fitted-names.js";
import { type CliIo, printJson, tableSpace, tableText } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

const DECIMALS = 4;

export const inspectVerb = defineVerb({
  name: "inspect",
  group: "merge",
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
    const found = await io.library.inspect(given, { cwd: io.cwd });
    if (found.kind === "coefficients") {
      if (json) printJson(io, found.coefficients);
      else await showCoefficients(found.coefficients, io);
    } else if (json) printJson(io, found.tensors);
    else showTensors(found.tensors, found.files, io);
    return EXIT_OK;
  },
});

async function showCoefficients(record: CoefficientsRecord, io: CliIo): Promise<void> {
  const { coefficientCells } = await import("../report/model-card.js");
  io.stdout.write(`${tableText(groupCells(record), io)}\n\n${tableText(coefficientCells(record), io)}\n`);
}

/** A row per group, a column per task. */
function groupCells({ granularity, tasks, groups, values }: CoefficientsRecord): string[][] {
  const rows = groups.map((group, column) => [
    group,
    ...tasks.map((_, row) => (values[row]?.[column] ?? Number.NaN).toFixed(DECIMALS)),
  ]);
  return [[`group (${granularity})`, ...tasks], ...rows];
}

function showTensors(tensors: readonly DescribedTensor[], files: number, io: CliIo): void {
  const cells = tensors.map(({ name, dtype, shape, sizeBytes }) => [
    name,
    dtype,
    shape.join(" x ") || "scalar",
    `${sizeBytes}`,
  ]);
  const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const bytes = tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const total = `${tensors.length} tensors, ${elements} elements, ${(bytes / 1e6).toFixed(1)} MB in ${files} file(s)`;
  const table = withFittedNames([["tensor", "dtype", "shape", "bytes"], ...cells], tableSpace(io).columns);
  io.stdout.write(`${alignedText(table)}\n\n${total}\n`);
}
