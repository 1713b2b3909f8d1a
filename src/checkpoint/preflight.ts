/**
 * The comparison of a base and its experts before anything is computed: every problem at once, each with the file,
 * the tensor, what was expected, what was found and what to do. Values are only read for hashing; NaN and infinities
 * are found while the bundle is built.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import type { Checkpoint } from "./checkpoint.js";
import { isFloatDtype, READ_DTYPES } from "./decode-floats.js";
import type { TowerLayout, TowerNames } from "./layout/tensor-layout.js";
import { towerTensors } from "./layout/tower-names.js";

export interface Expert {
  readonly task: string;
  readonly checkpoint: Checkpoint;
}

/** A tensor that the model has, by its canonical name. */
export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether experts are also saved without it; they have the base's then, as a projection behind a tower. */
  readonly isOptional?: boolean;
}

export interface CheckpointProblem {
  readonly kind: "missing" | "extra" | "shape" | "dtype" | "identical" | "config" | "names";
  /** The checkpoint's path, or the shard's for a tensor. */
  readonly file: string;
  /** The name in the file where there is one, else the canonical name; absent for problems of a whole checkpoint. */
  readonly tensor?: string;
  readonly expected: string;
  readonly found: string;
  readonly action: string;
}

/** The fields of config.json that decide shapes or the forward pass; two models that differ in one cannot be merged. */
const ARCHITECTURE_FIELDS = [
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_channels",
  "image_size",
  "patch_size",
  "hidden_act",
  "layer_norm_eps",
];

/**
 * Compares a base and its experts with each other and with the tensors of the model. Returns all problems, none if
 * they can be merged. A tensor that no expert has is not a problem: it is taken from the base (as a projection
 * is when experts are towers alone). Reads every used tensor once, for the content hashes.
 */
export async function compareCheckpoints(
  base: Checkpoint,
  experts: readonly Expert[],
  expectedTensors: readonly ExpectedTensor[],
  layout: TowerLayout,
): Promise<CheckpointProblem[]> {
  const problems: CheckpointProblem[] = [];
  const baseNames = namesOf(base, layout, problems);
  const expertNames = experts.map(({ checkpoint }) => namesOf(checkpoint, layout, problems));
  const inSomeExpert = expectedTensors.filter(({ name }) => expertNames.some((names) => names.has(name)));
  compareTensors(base, baseNames, expectedTensors, expectedTensors, problems);
  for (const [i, { checkpoint }] of experts.entries()) {
    const names = expertNames[i] ?? new Map();
    if (expectedTensors.some(({ name }) => names.has(name))) {
      const required = inSomeExpert.filter(({ name, isOptional }) => isOptional !== true || names.has(name));
      compareTensors(checkpoint, names, required, expectedTensors, problems);
    } else {
      // One sentence about a checkpoint of something else, not one for each of its tensors.
      problems.push(...anotherModel(checkpoint, expectedTensors.length, layout, problems));
    }
    compareConfigs(base, checkpoint, layout, problems);
  }
  if (base.config === undefined) {
    problems.push({
      kind: "config",
      file: base.path,
      expected: "a config.json beside the weights",
      found: "none",
      action: "copy the config.json of the pretrained model there",
    });
  }
  await compareContents(base, experts, expectedTensors, layout, problems);
  return problems;
}

/** Problems that one error lists: an expert of another architecture has hundreds, all of one cause. */
const LISTED_PROBLEMS = 40;

/** Throws one CheckpointError that lists the problems, at most 40 of them, and counts them; returns if there is none. */
export function failOnProblems(problems: readonly CheckpointProblem[]): void {
  if (problems.length === 0) return;
  const lines = problems.slice(0, LISTED_PROBLEMS).map(({ file, tensor, expected, found, action }) => {
    const place = tensor === undefined ? file : `${file}: tensor ${quote(tensor)}`;
    return `  ${place}: expected ${expected}, found ${found}. What to do: ${action}.`;
  });
  if (problems.length > lines.length) lines.push(`  and ${problems.length - lines.length} more.`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  throw new CheckpointError(`The checkpoints cannot be merged, ${count}:\n${lines.join("\n")}`);
}

/** Nothing where the names are known to be the problem. */
function anotherModel(
  { path, tensors }: Checkpoint,
  wanted: number,
  { title }: TowerLayout,
  problems: readonly CheckpointProblem[],
): CheckpointProblem[] {
  if (problems.some(({ kind, file }) => kind === "names" && file === path)) return [];
  const [first] = tensors.keys();
  return [
    {
      kind: "missing",
      file: path,
      expected: `the model's ${wanted} tensors`,
      found: first === undefined ? "no tensors at all" : `none of them, but ${tensors.size} such as ${quote(first)}`,
      action: `use experts fine-tuned from this base (${title})`,
    },
  ];
}

function namesOf(
  checkpoint: Checkpoint,
  layout: TowerLayout,
  problems: CheckpointProblem[],
): ReadonlyMap<string, string> {
  try {
    return towerTensors(layout, checkpoint.tensors.keys(), checkpoint.path).names;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    problems.push({
      kind: "names",
      file: checkpoint.path,
      expected: "one layout of names",
      found: `two (${error.message})`,
      action: "save the checkpoint again from the model",
    });
    return new Map();
  }
}

function compareTensors(
  checkpoint: Checkpoint,
  names: ReadonlyMap<string, string>,
  required: readonly ExpectedTensor[],
  known: readonly ExpectedTensor[],
  problems: CheckpointProblem[],
): void {
  for (const { name, shape, isOptional } of required) {
    const stored = checkpoint.tensors.get(names.get(name) ?? "");
    if (stored === undefined && checkpoint.isPartial) continue;
    const wanted = `shape [${shape.join(", ")}]`;
    if (stored === undefined) {
      const action =
        isOptional === true
          ? "use a base that was saved with it: a whole model, or a tower with its projection"
          : "check that this checkpoint has the architecture of the base and is complete";
      problems.push({
        kind: "missing",
        file: checkpoint.path,
        tensor: name,
        expected: wanted,
        found: "no such tensor",
        action,
      });
      continue;
    }
    const at = { file: stored.file.path, tensor: stored.name };
    if (!sameShape(stored.shape, shape)) {
      const found = `[${stored.shape.join(", ")}]`;
      const transposed = sameShape(stored.shape.toReversed(), shape);
      const action = transposed
        ? "the tensor is transposed; save the checkpoint again in the layout of the base"
        : "use experts fine-tuned from this base (same architecture, patch size and resolution)";
      problems.push({ kind: "shape", ...at, expected: wanted, found, action });
    }
    if (!isFloatDtype(stored.dtype)) {
      const action = "save the checkpoint again in one of these";
      problems.push({ kind: "dtype", ...at, expected: `dtype ${READ_DTYPES}`, found: stored.dtype, action });
    }
  }
  const knownNames = new Set(known.map(({ name }) => name));
  for (const [name, stored] of names) {
    if (knownNames.has(name)) continue;
    problems.push({
      kind: "extra",
      file: checkpoint.tensors.get(stored)?.file.path ?? checkpoint.path,
      tensor: stored,
      expected: "only tensors that the model has",
      found: "one it has not",
      action: "check that config.json belongs to these weights, or remove the tensor",
    });
  }
}

function compareConfigs(
  base: Checkpoint,
  expert: Checkpoint,
  { tower }: TowerLayout,
  problems: CheckpointProblem[],
): void {
  const baseFields = towerFields(base.config, tower);
  const expertFields = towerFields(expert.config, tower);
  for (const field of ARCHITECTURE_FIELDS) {
    const expected = baseFields.get(field);
    const found = expertFields.get(field);
    // Files omit fields equal to the defaults of transformers, so an absent one says nothing.
    if (expected === undefined || found === undefined || JSON.stringify(expected) === JSON.stringify(found)) continue;
    problems.push({
      kind: "config",
      file: expert.path,
      expected: `${field} ${shown(expected)} in config.json, as in the base`,
      found: shown(found),
      action: "use experts fine-tuned from this base",
    });
  }
}

/** A value of a config.json for a message: texts and numbers as they are, anything larger by its first letters. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  return json.length > 80 ? quote(json) : json;
}

/** The fields of a tower's config, or of the section about the tower in that of a whole model. */
function towerFields(config: unknown, { section }: TowerNames): ReadonlyMap<string, unknown> {
  if (typeof config !== "object" || config === null) return new Map();
  const nested: unknown = section === undefined ? undefined : Reflect.get(config, section);
  return new Map(Object.entries(typeof nested === "object" && nested !== null ? nested : config));
}

/** Finds the base given as an expert, and one expert given twice, by the content of the tensors the model has. */
async function compareContents(
  base: Checkpoint,
  experts: readonly Expert[],
  expectedTensors: readonly ExpectedTensor[],
  layout: TowerLayout,
  problems: CheckpointProblem[],
): Promise<void> {
  const firstWith = new Map<string, string>();
  const compared = experts.map(({ task, checkpoint }) => {
    const names = namesOf(checkpoint, layout, []);
    return { task, checkpoint, used: expectedTensors.filter(({ name }) => names.has(name)) };
  });
  const contents = await Promise.all(compared.map(({ checkpoint, used }) => contentOf(checkpoint, used, layout)));
  for (const [i, { task, checkpoint, used }] of compared.entries()) {
    const content = contents[i] ?? "";
    if (used.length === 0) continue;
    const earlier = firstWith.get(content);
    const equal = content === (await contentOf(base, used, layout)) ? "the base" : earlier;
    if (equal !== undefined) {
      problems.push({
        kind: "identical",
        file: checkpoint.path,
        expected: `the expert of task ${quote(task)} to differ from the base and the other experts`,
        found: `the same values as ${equal}`,
        action: "check the paths of the experts",
      });
    }
    if (earlier === undefined) firstWith.set(content, `the expert of task ${quote(task)} (${checkpoint.path})`);
  }
}

async function contentOf(
  checkpoint: Checkpoint,
  tensors: readonly ExpectedTensor[],
  layout: TowerLayout,
): Promise<string> {
  const names = namesOf(checkpoint, layout, []);
  const stored = tensors.flatMap(({ name }) => names.get(name) ?? []);
  const hashes = new Map((await checkpoint.tensorSha256s(stored)).map((hash, i) => [stored[i], hash]));
  return tensors.map(({ name }) => `${name} ${hashes.get(names.get(name)) ?? "none"}`).join("\n");
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
