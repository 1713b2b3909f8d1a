/**
 * The parameters and buffers of a TorchScript program (torch.jit.save), by the names that its state_dict() has. The objects in `data.pkl` are inert
 * records here; of the program's code only the lines are read that list a class's parameters and buffers. No code is run: an object that its class
 * restores by code of its own (`__setstate__`) is refused. Source: PyTorch's torch/csrc/jit/serialization/{pickler,python_print}.cpp.
 */
import { inflateRawSync } from "node:zlib";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { decodeUtf8 } from "../../runtime/regular-file.js";
import { MAX_TENSORS } from "../safetensors-header.js";
import {
  isKind,
  type PickledDict,
  type PickledObject,
  type PickledTensor,
  type PickledValue,
} from "./pickled-values.js";

/** The code of a traced model has less than one megabyte. */
const MAX_CODE_BYTES = 20_000_000;
/** Modules nest some ten deep. */
const MAX_DEPTH = 64;
/** `class Linear(Module):` and the two lists below it. */
const MODULE_CLASS = /^class (\w+)\(Module\):\n((?: {2}.*\n|\n)*)/gm;
const LISTED = /^ {2}__(parameters|buffers)__ = \[(.*)\]$/gm;
const OWN_RESTORING = /^ {2}def __setstate__\(/m;

/** What a class of a program says of the attributes of its objects. */
interface ModuleClass {
  /** Attributes that are parameters and buffers. */
  readonly stored: readonly string[];
  /** Its objects are made by code of the program. */
  readonly restoresItself: boolean;
}

/** Reads a record of the archive by its path below the root; undefined for one that is not there. */
export type ReadCode = (
  path: string,
) => Promise<{ readonly bytes: Uint8Array; readonly isStored: boolean } | undefined>;

/** The tensors of a program whose `data.pkl` is `program`. */
export async function scriptTensors(
  program: PickledValue,
  readCode: ReadCode,
  path: string,
): Promise<ReadonlyMap<string, PickledTensor>> {
  if (!isKind(program, "object")) throw malformed(path, "a module", "something else");
  const classes = new ModuleClasses(readCode, path);
  const tensors = new Map<string, PickledTensor>();
  let modules = 0;
  const visit = async (module: PickledObject, prefix: string, depth: number): Promise<void> => {
    const known = await classes.of(module.className);
    // A class that is no module may hold tensors; they are no part of a state dict.
    if (known === undefined) return;
    const where = `${quote(prefix === "" ? "the program" : prefix.slice(0, -1))} of class ${quote(module.className)}`;
    if (++modules > MAX_TENSORS || depth > MAX_DEPTH)
      throw malformed(path, `at most ${MAX_TENSORS} modules, ${MAX_DEPTH} deep`, "more");
    const attributes = attributesOf(module, known, where, path);
    for (const name of known.stored) {
      const value = attributes.entries.get(name);
      if (value === null) continue;
      if (!isKind(value, "tensor")) throw malformed(path, `a tensor ${quote(name)} in ${where}`, "something else");
      tensors.set(prefix + name, value);
    }
    for (const [name, value] of attributes.entries)
      if (typeof name === "string" && isKind(value, "object")) await visit(value, `${prefix}${name}.`, depth + 1);
  };
  await visit(program, "", 1);
  return tensors;
}

function attributesOf(module: PickledObject, known: ModuleClass, where: string, path: string): PickledDict {
  const { state } = module;
  if (!known.restoresItself && isKind(state, "dict")) return state;
  throw new CheckpointError(
    `${path}: expected modules whose tensors are their attributes, found ${where}, which restores itself by code in the file (__setstate__; quantised layers do so). That code is not run. Save model.state_dict() where the model comes from.`,
  );
}

/** The classes that have been asked for, each file of code read once. */
class ModuleClasses {
  private readonly files = new Map<string, ReadonlyMap<string, ModuleClass>>();
  private codeBytes = 0;

  constructor(
    private readonly readCode: ReadCode,
    private readonly path: string,
  ) {}

  /** By its name as the pickle has it (`__torch__.torch.nn.modules.linear Linear`); undefined for one that is no module. */
  async of(className: string): Promise<ModuleClass | undefined> {
    const [module = "", name = ""] = className.split(" ");
    const file = `code/${module.replaceAll(".", "/")}.py`;
    const known = this.files.get(file) ?? moduleClasses(await this.text(file), this.path);
    this.files.set(file, known);
    return known.get(name);
  }

  private async text(file: string): Promise<string> {
    const record = await this.readCode(file);
    if (record === undefined) throw malformed(this.path, `a record ${quote(file)} with the program's classes`, "none");
    const left = MAX_CODE_BYTES - this.codeBytes;
    const bytes = record.isStored ? record.bytes : inflated(record.bytes, left, file, this.path);
    const text = bytes.length > left ? undefined : decodeUtf8(bytes);
    if (text === undefined)
      throw malformed(this.path, `at most ${MAX_CODE_BYTES} bytes of code in UTF-8`, `others in ${quote(file)}`);
    this.codeBytes += bytes.length;
    return text;
  }
}

function inflated(bytes: Uint8Array, most: number, file: string, path: string): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(1, most) });
  } catch {
    throw malformed(path, `${quote(file)} compressed, of at most ${MAX_CODE_BYTES} bytes in all`, "others");
  }
}

function moduleClasses(code: string, path: string): ReadonlyMap<string, ModuleClass> {
  const classes = new Map<string, ModuleClass>();
  for (const [, name = "", body = ""] of code.matchAll(MODULE_CLASS)) {
    if (classes.has(name)) throw malformed(path, "every class of the program once", `${quote(name)} twice`);
    const stored = [...body.matchAll(LISTED)].flatMap(([, , list = ""]) => listedNames(list, path));
    classes.set(name, { stored, restoresItself: OWN_RESTORING.test(body) });
  }
  return classes;
}

/** `"weight", "bias", `: quoted names, none with an escape. */
function listedNames(list: string, path: string): string[] {
  if (!/^(?:"[^"\\]*", ?)*(?:"[^"\\]*")?$/.test(list))
    throw malformed(path, "lists of plain names of parameters and buffers", quote(list));
  return [...list.matchAll(/"([^"]*)"/g)].map(([, name = ""]) => name);
}

function malformed(path: string, expected: string, found: string): CheckpointError {
  return new CheckpointError(
    `${path}: not a TorchScript program that can be read: expected ${expected}, found ${found}. Save model.state_dict() where the model comes from.`,
  );
}
