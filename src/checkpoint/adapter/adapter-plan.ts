/**
 * How a change of some of a base's tensors is written so that peft adds exactly it: matrices of linear layers as
 * factors, biases beside them, and modules of any other kind whole (modules_to_save). Nothing is left out: what peft
 * has no place for is refused by its name. Source: peft, tuners/tuners_utils.py (check_target_module_exists) and
 * utils/other.py (_set_trainable, which wraps every module whose name ends in an entry).
 */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { Checkpoint } from "../checkpoint.js";
import { isFloatDtype, READ_DTYPES } from "../decode-floats.js";
import { anyLayout } from "../layout/common-names.js";
import { respelled, unwrappedNames } from "../layout/plain-names.js";
import { isDerived, type ModuleNames } from "../layout/tensor-layout.js";
import { saysTied, tieOf } from "../layout/ties.js";
import { architecturesOf } from "../saved-config.js";
import { keepsInputsFirst } from "./orientation.js";

export interface PlannedFactors {
  /** The base's tensor. */
  readonly name: string;
  /** As peft names it in the model. */
  readonly module: string;
  /** Of the layer, whichever way round it keeps its weight. */
  readonly outputs: number;
  readonly inputs: number;
  readonly rank: number;
  /** Whether the base's tensor is [inputs, outputs]: B A is its transpose. */
  readonly isTransposed: boolean;
}

export interface PlannedWhole {
  /** The base's tensor. */
  readonly name: string;
  /** In the adapter's file, without peft's prefix. */
  readonly key: string;
  readonly shape: readonly number[];
}

export interface AdapterPlan {
  readonly rank: number;
  readonly factors: readonly PlannedFactors[];
  readonly whole: readonly PlannedWhole[];
  readonly modulesToSave: readonly string[];
  /** Modules that end in the name of one with factors and have none. */
  readonly excludedModules: readonly string[];
  readonly bias: "none" | "lora_only" | "all";
}

type Base = Pick<Checkpoint, "path" | "config" | "tensors">;

/** Tables of embeddings, which peft gives factors of another kind; nothing in a file tells them from linear layers. */
const TABLE = /(?:^|\.)(?:[^.]*embed[^.]*|emb|wte|wpe|shared|relative_attention_bias)\.weight$/i;
/** Architectures that have no layer beside the table of words that could be tied to it. */
const WITHOUT_HEAD =
  /^(?!.*(?:LMHead|DoubleHeads|EncoderDecoder)).*(?:Model|Classification|QuestionAnswering|MultipleChoice)$/;
/** Tables of words that are one with others in models without a head, too. */
const SHARED = /(?:^|\.)(?:shared|(?:en|de)coder\.embed_tokens)\.weight$/;
/** peft reads some lists as regular expressions, in which no other character stands for itself. */
const PLAIN_MODULE = /^[\w.-]+$/;

/** What a plan may be asked besides the tensors that changed, by the base's names. */
export interface AdapterPlanOptions {
  /** Of matrices that do not have the common rank. */
  readonly ranks?: ReadonlyMap<string, number> | undefined;
  /** Changed matrices that are stored whole, as their modules are. */
  readonly inFull?: ReadonlySet<string> | undefined;
  /** What transformers calls the base's modules; default: as its tensors. */
  readonly modules?: ModuleNames | undefined;
}

/**
 * Plans an adapter of the base's tensors in `changed`; ranks above what a matrix can have are cut to that. Throws
 * CheckpointError for tensors that an adapter cannot change, and where no matrix changed, which peft does not load.
 */
export function planAdapter(
  base: Base,
  changed: ReadonlySet<string>,
  rank: number,
  { ranks = new Map(), inFull = new Set(), modules }: AdapterPlanOptions = {},
): AdapterPlan {
  if (!Number.isSafeInteger(rank) || rank < 1)
    throw new CheckpointError(`rank of an adapter: expected a whole number from 1, found ${rank}. Choose another.`);
  const isDivided = [...changed].some((name) => modules?.divided?.test(name) === true);
  const inModel = (name: string): string => (isDivided || modules === undefined ? name : respelled(modules, name));
  const plain = new Map(
    [...unwrappedNames(base.tensors.keys(), base.path)].map(([name, stored]) => [
      inModel(respelled(anyLayout, name)),
      stored,
    ]),
  );
  const tensors = new Map([...plain].map(([name, stored]) => [name, base.tensors.get(stored)]));
  const isChanged = (name: string): boolean => changed.has(plain.get(name) ?? "");
  const shapes = new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor?.shape ?? [] }]));
  const own = [...plain.keys()].filter(isChanged);
  for (const name of own) {
    requireFloats(base, plain.get(name) ?? name);
    requireUntied(base, name, shapes);
  }
  const isMatrix = (name: string): boolean =>
    shapes.get(name)?.shape.length === 2 &&
    /[^.]\.weight$/.test(name) &&
    !TABLE.test(name) &&
    !inFull.has(plain.get(name) ?? "");
  const isBias = (name: string): boolean => /[^.]\.bias$/.test(name);
  const modulesToSave = savedModules(
    own.filter((name) => !isMatrix(name) && !isBias(name)).map((name) => ownerOf(name, base)),
    modulesOf(plain.keys()),
    base.path,
  );
  const isSaved = (name: string): boolean => modulesToSave.some((module) => name.startsWith(`${module}.`));
  const factors = own
    .filter((name) => isMatrix(name) && !isSaved(name))
    .map((name): PlannedFactors => {
      const [rows = 0, columns = 0] = shapes.get(name)?.shape ?? [];
      const isTransposed = keepsInputsFirst(name, shapes);
      const [outputs, inputs] = isTransposed ? [columns, rows] : [rows, columns];
      const module = requirePlain(name.slice(0, -".weight".length), base.path);
      const stored = plain.get(name) ?? name;
      return {
        name: stored,
        module,
        outputs,
        inputs,
        rank: Math.min(ranks.get(stored) ?? rank, rows, columns),
        isTransposed,
      };
    });
  if (factors.length === 0)
    throw new CheckpointError(
      `${base.path}: expected at least one changed matrix of a linear layer, found ${own.length} changed tensors of other kinds. An adapter of peft needs one; save the model whole.`,
    );
  const targets = new Set(factors.map(({ module }) => module));
  const biases = own.filter((name) => isBias(name) && !isSaved(name));
  const ofLayer = (name: string): boolean => targets.has(name.slice(0, -".bias".length));
  const saved = [...plain.keys()].filter((name) => isSaved(name) && isStoredWith(base, name, plain.get(name) ?? name));
  const wholeOf = (name: string, key: string): PlannedWhole => ({
    name: plain.get(name) ?? name,
    key,
    shape: shapes.get(name)?.shape ?? [],
  });
  return {
    rank,
    factors,
    whole: [
      ...saved.map((name) => wholeOf(name, name)),
      ...biases.map((name) => wholeOf(name, ofLayer(name) ? name.replace(/\.bias$/, ".base_layer.bias") : name)),
    ],
    modulesToSave,
    excludedModules: excludedModules(targets, modulesOf(plain.keys()), base.path),
    bias: biases.length === 0 ? "none" : biases.every(ofLayer) ? "lora_only" : "all",
  };
}

function requireFloats(base: Base, name: string): void {
  const dtype = base.tensors.get(name)?.dtype ?? "";
  if (!isFloatDtype(dtype))
    throw new CheckpointError(
      `${base.path}: tensor ${quote(name)}: expected dtype ${READ_DTYPES} of a tensor that changed, found ${dtype}. Use a base before its quantisation.`,
    );
}

/** peft would change the table of words or the head, and leave the other as it was. */
function requireUntied(
  base: Base,
  name: string,
  shapes: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void {
  const isSource = anyLayout.ties.some(({ sources }) =>
    sources.some((source) => name === source || name.endsWith(`.${source}`)),
  );
  if (tieOf(anyLayout, name) === undefined && !isSource) return;
  const architectures = architecturesOf(base.config);
  const hasHead = [...shapes.keys()].some((other) => tieOf(anyLayout, other)?.kind === "head");
  const isWithoutHead = architectures.length > 0 && architectures.every((known) => WITHOUT_HEAD.test(known));
  if (!SHARED.test(name) && (saysTied(base.config) === false || (isWithoutHead && !hasHead))) return;
  throw new CheckpointError(
    `${base.path}: tensor ${quote(name)} changed, and may be one with another tensor of the model (tie_word_embeddings is not false in config.json): peft would change only one of the two. Save the model whole.`,
  );
}

/** The module that a tensor lies in. */
function ownerOf(name: string, base: Base): string {
  const dot = name.lastIndexOf(".");
  if (dot > 0) return requirePlain(name.slice(0, dot), base.path);
  throw new CheckpointError(
    `${base.path}: tensor ${quote(name)} changed, and lies in no module of its own, so that an adapter of peft cannot change it. Save the model whole.`,
  );
}

function requirePlain(module: string, path: string): string {
  if (PLAIN_MODULE.test(module)) return module;
  throw new CheckpointError(
    `${path}: module ${quote(module)}: expected a name of letters, digits, _, - and dots, found other characters, which peft would read as a pattern. Rename the base's tensors.`,
  );
}

/** All modules that names lie in, outer and inner ones. */
function modulesOf(names: Iterable<string>): ReadonlySet<string> {
  const modules = new Set<string>();
  for (const name of names)
    for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1))
      modules.add(name.slice(0, dot));
  return modules;
}

/**
 * The modules that peft saves whole when it is asked for `asked`: those too whose names end in one of these. None lies
 * in another.
 */
function savedModules(asked: readonly string[], modules: ReadonlySet<string>, path: string): readonly string[] {
  const isInside = (module: string, outer: string): boolean => module.startsWith(`${outer}.`);
  const outermost = [...new Set(asked)].filter((module) => !asked.some((outer) => isInside(module, outer)));
  // What ends in one that is found ends in the one that found it.
  const found = [...modules].filter((module) => outermost.some((name) => module.endsWith(name))).toSorted();
  for (const module of found) {
    const outer = found.find((other) => isInside(module, other));
    if (outer !== undefined)
      throw new CheckpointError(
        `${path}: a tensor in module ${quote(outer)} changed that is not one of its layers', so that the module would be saved whole; peft would take ${quote(module)} in it for another one to be saved, by the end of its name. Save the model whole.`,
      );
  }
  return found;
}

/** Whether a tensor of a module that is saved whole is in files; what the model computes is not. */
function isStoredWith(base: Base, plainName: string, name: string): boolean {
  if (isDerived(anyLayout, plainName, base.tensors.get(name)?.shape ?? [])) return false;
  requireFloats(base, name);
  return true;
}

/** peft takes a target's name for the end of others', too. */
function excludedModules(targets: ReadonlySet<string>, modules: ReadonlySet<string>, path: string): readonly string[] {
  const excluded = [...modules].filter((module) => !targets.has(module) && endsInOne(module, targets)).toSorted();
  for (const target of targets)
    if (endsInOne(target, new Set(excluded)))
      throw new CheckpointError(
        `${path}: module ${quote(target)} cannot be told from others by the end of its name, as peft does. Save the model whole.`,
      );
  return excluded;
}

function endsInOne(module: string, others: ReadonlySet<string>): boolean {
  for (let dot = module.indexOf("."); dot >= 0; dot = module.indexOf(".", dot + 1))
    if (others.has(module.slice(dot + 1))) return true;
  return false;
}
