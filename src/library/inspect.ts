/** `inspect` for programs: what is in a checkpoint (from its header alone), a coefficients.json or a run's folder. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { readModelFile } from "../checkpoint/model-files.js";
import { elementBytes } from "../checkpoint/stored-tensor.js";
import { CheckpointError } from "../errors.js";
import { type CoefficientsRecord, readCoefficients } from "../track/coefficients-file.js";
import { workingDirectory } from "./surroundings.js";

/** A tensor as its file describes it. */
export interface DescribedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  /** Name of the file that it is in. */
  readonly file: string;
}

/** What a run learned, or the tensors of a checkpoint in the order of their files. */
export type Inspection =
  | { readonly kind: "coefficients"; readonly coefficients: CoefficientsRecord }
  | { readonly kind: "checkpoint"; readonly tensors: readonly DescribedTensor[]; readonly files: number };

/** Looks at a .safetensors or PyTorch file, a checkpoint's folder, a coefficients.json or a run's folder. Throws CheckpointError for anything else. */
export async function inspect(given: string, { cwd = "" }: { readonly cwd?: string } = {}): Promise<Inspection> {
  const file = path.resolve(workingDirectory(), cwd, given);
  const names = await namesIn(file, given);
  if (names.includes("coefficients.json")) return ofCoefficients(path.join(file, "coefficients.json"));
  if (names.length === 0 && file.endsWith(".json")) return ofCoefficients(file);
  const shards = modelFilesAmong(names);
  if (names.length > 0 && shards.length === 0)
    throw nothingToShow(given, `a folder with ${names.slice(0, 5).join(", ")}`);
  return ofCheckpoint(shards.length > 0 ? shards.map((name) => path.join(file, name)) : [file]);
}

async function ofCoefficients(file: string): Promise<Inspection> {
  return { kind: "coefficients", coefficients: await readCoefficients(file) };
}

async function ofCheckpoint(files: readonly string[]): Promise<Inspection> {
  const models = await Promise.all(files.map((file) => readModelFile(file)));
  const tensors = models.flatMap((model) =>
    // Tied names stand for one tensor.
    [...new Set(model.tensors.values())].map(({ name, dtype, shape, file }) => ({
      ...{ name, dtype, shape, sizeBytes: elementBytes({ dtype, shape }) },
      file: path.basename(file.path),
    })),
  );
  return { kind: "checkpoint", tensors, files: files.length };
}

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
