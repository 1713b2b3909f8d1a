/**
 * One case of the fuzzer: what is made, and what must hold when it is opened and read whole. A case is a pure function of its
 * generator. The reader is handed in, so that the same cases run on the built library (safetensors.ts) and on the sources (npm test).
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type * as library from "../../dist/internal.js";
import { type Folder, layOut, mutateFolder } from "./directories.js";
import { makeFile } from "./entries.js";
import { mutateBytes, mutateHeader } from "./mutations.js";

export type Library = Pick<
  typeof library,
  "openCheckpoint" | "saveCheckpoint" | "writeSafetensors" | "createRng" | "CheckpointError"
>;

export interface Seeds {
  readonly files: readonly Uint8Array[];
  readonly folders: readonly Folder[];
}

export type Case =
  | { readonly kind: "header" | "entries" | "bytes"; readonly content: Uint8Array }
  | { readonly kind: "folder"; readonly content: Folder };

export interface Outcome {
  /** Sha256 of every tensor, and of its values as float32 if it has a float dtype; absent when refused. */
  readonly tensors?: Readonly<Record<string, readonly [bytes: string, values: string]>>;
  /** The message's sentence without names and numbers. */
  readonly rule?: string;
  /** What must not happen, if it did. */
  readonly problem?: string;
}

/** The longest message there is to show: one with a list of names of the greatest length allowed. */
const MOST_MESSAGE_LETTERS = 2000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/;

/** Small valid files and folders to start from; `golden` are files written by the safetensors library. */
export async function makeSeeds(folder: string, golden: string, library: Library): Promise<Seeds> {
  await mkdir(folder, { recursive: true });
  const names = (await readdir(golden)).filter((name) => name.endsWith(".safetensors"));
  const files: Uint8Array[] = await Promise.all(names.map((name) => readFile(join(golden, name))));
  const made = join(folder, "seed.safetensors");
  const lists = [
    [tensor("a", "F32", [2, 3]), tensor("b.weight", "F16", [5]), tensor("c", "BF16", [])],
    [tensor("empty", "F32", [0, 4]), tensor("\u00e9", "F32", [1])],
    [],
  ];
  for (const list of lists) {
    await library.writeSafetensors(made, list, { metadata: { format: "pt", tied: "a" } });
    files.push(await readFile(made));
  }
  await writeFile(join(folder, "outside.safetensors"), files[0] ?? "");
  const folders: Folder[] = [];
  for (const maxShardBytes of [1e9, 16]) {
    const specs = lists.flat();
    const path = join(folder, `seed-${maxShardBytes}`);
    const data = (name: string) => specs.find((spec) => spec.name === name)?.data ?? new Float32Array();
    await library.saveCheckpoint(path, { config: { hidden_size: 2, layers: [1] }, specs, data, maxShardBytes });
    const found = await readdir(path);
    folders.push(
      new Map(await Promise.all(found.map(async (name) => [name, await readFile(join(path, name))] as const))),
    );
  }
  return { files, folders };
}

function tensor(name: string, dtype: string, shape: number[]) {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return { name, dtype, shape, data: new Float32Array(size).fill(1) };
}

/** Three in ten from scratch, three with a changed header, two with changed bytes, two folders. */
export function makeCase({ files, folders }: Seeds, rng: library.Rng): Case {
  const draw = rng.nextInt(10);
  const file = files[rng.nextInt(files.length)] ?? new Uint8Array();
  const other = files[rng.nextInt(files.length)] ?? new Uint8Array();
  if (draw < 3) return { kind: "entries", content: makeFile(rng) };
  if (draw < 6) return { kind: "header", content: mutateHeader(file, rng) };
  if (draw < 8) return { kind: "bytes", content: mutateBytes(file, other, rng) };
  // Sharded ones more often than single files.
  const folder = folders[rng.nextInt(3) === 0 ? 0 : folders.length - 1] ?? new Map();
  return { kind: "folder", content: mutateFolder(folder, rng) };
}

/** Puts the case at `path`, which is replaced. */
export async function layOutCase({ kind, content }: Case, path: string): Promise<void> {
  if (kind === "folder") await layOut(content, path);
  else await writeFile(path, content);
}

/** Opens what lies at `path` and reads all of it. */
export async function readCase(path: string, { openCheckpoint, CheckpointError }: Library): Promise<Outcome> {
  try {
    const checkpoint = await openCheckpoint(path);
    const tensors: [string, [string, string]][] = [];
    for (const [name, stored] of checkpoint.tensors) {
      const isFloat = /^(F32|F16|BF16)$/.test(stored.dtype);
      const values = isFloat ? digestOf(await checkpoint.readFloat32(name)) : "";
      // A tied name is ours: the library knows the stored one alone.
      if (stored.name === name) tensors.push([name, [(await checkpoint.tensorSha256s([name]))[0] ?? "", values]]);
    }
    // Not a literal: it would set the prototype for a tensor called __proto__.
    return { tensors: Object.fromEntries(tensors) };
  } catch (error) {
    if (!(error instanceof CheckpointError)) return { problem: `threw ${String(error).slice(0, 300)}` };
    const { message } = error;
    const problem = messageProblem(message, path);
    return { rule: ruleOf(message, path), ...(problem === undefined ? {} : { problem }) };
  }
}

function messageProblem(message: string, path: string): string | undefined {
  if (!message.startsWith(path)) return `a message that does not begin with the path: ${message.slice(0, 200)}`;
  if (message.length > MOST_MESSAGE_LETTERS) return `a message of ${message.length} letters`;
  if (CONTROL.test(message)) return `control characters in the message ${JSON.stringify(message.slice(0, 300))}`;
  return undefined;
}

/** What was expected: one text per rule of the reader. */
function ruleOf(message: string, path: string): string {
  const [expected = ""] = message
    .replaceAll(path, "PATH")
    .replace(/^PATH[^:]*: /, "")
    .split(/ at character |, found | \(shape |, closed by /);
  return expected
    .replace(/"(?:[^"\\]|\\.)*"/gs, "NAME")
    .replace(/[\w.-]+\.safetensors/g, "FILE")
    .replace(/\d+/g, "N")
    .slice(0, 120);
}

/** Sha256 of float32 values, with one pattern for all NaN: conversions differ in the others. */
function digestOf(values: Float32Array): string {
  const canonical = values.map((value) => (Number.isNaN(value) ? Number.NaN : value));
  return createHash("sha256").update(new Uint8Array(canonical.buffer)).digest("hex");
}
