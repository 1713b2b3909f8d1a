/**
 * A pickle of tensors, read without executing anything: a stack machine for the instructions that torch.save needs for state dicts, over inert
 * values. What Python would import and call is looked up in a table of a few names instead, and everything else is refused by name.
 * Objects of TorchScript's classes become records (torch-script.ts). Not a general unpickler. Source: Python's pickletools (protocol 2) and torch/_weights_only_unpickler.py, whose allowlist is far longer.
 */
import { itemBytes } from "../stored-tensor.js";
import { PickleMachine } from "./pickle-machine.js";
import {
  described,
  isKind,
  MAX_RANK,
  type PickledDict,
  type PickledStorage,
  type PickledTensor,
  type PickledValue,
} from "./pickled-values.js";
import { ELEMENT_TYPES, STORAGES, UNTYPED } from "./storage-types.js";

/** Those of 100,000 tensors are some 4 million. */
const MAX_OPERATIONS = 5_000_000;
const PROTOCOL = 2;
/** The type of a storage whose elements get theirs from the tensor. */
const BYTES = "bytes";

/** The one value of a pickle. Throws CheckpointError with `where` and the byte for anything that is not in the tables, or malformed. */
export function readPickle(bytes: Uint8Array, where: string, { isScript = false } = {}): PickledValue {
  const machine = new PickleMachine(bytes, where, isScript);
  for (let count = 0; ; count++) {
    if (count === MAX_OPERATIONS) machine.fail(`at most ${MAX_OPERATIONS} instructions`, "more");
    const code = machine.byte();
    if (code === STOP) return machine.finish();
    const operation = OPERATIONS.get(code);
    if (operation === undefined)
      machine.fail(
        "instructions of a state dict",
        `0x${code.toString(16).padStart(2, "0")} (${OTHERS.get(code) ?? "unknown"})`,
      );
    else operation(machine);
  }
}

type Operation = (machine: PickleMachine) => void;

const STOP = 0x2e;
const tuple = (items: readonly PickledValue[]): PickledValue => ({ kind: "tuple", items });
const dict = (isOrdered: boolean): PickledDict => ({ kind: "dict", isOrdered, entries: new Map() });

/** By their codes; names as in pickletools. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x80, protocol], // PROTO
  [0x28, (m) => m.mark()], // MARK
  [0x63, (m) => m.push(lookUp(m, `${m.line()} ${m.line()}`))], // GLOBAL
  [0x52, reduce], // REDUCE
  [0x62, build], // BUILD
  [0x81, newObject], // NEWOBJ
  [0x51, (m) => m.push(storageOf(m, m.pop()))], // BINPERSID
  [0x29, (m) => m.push(tuple([]))], // EMPTY_TUPLE
  [0x74, (m) => m.push(tuple(m.popToMark()))], // TUPLE
  [0x85, (m) => m.push(tuple([m.pop()]))], // TUPLE1
  [0x86, (m) => m.push(tuple([m.pop(), m.pop()].toReversed()))], // TUPLE2
  [0x87, (m) => m.push(tuple([m.pop(), m.pop(), m.pop()].toReversed()))], // TUPLE3
  [0x5d, (m) => m.push({ kind: "list", items: [] })], // EMPTY_LIST
  [0x7d, (m) => m.push(dict(false))], // EMPTY_DICT
  [0x61, (m) => append(m, [m.pop()])], // APPEND
  [0x65, (m) => append(m, m.popToMark())], // APPENDS
  [0x73, (m) => setItems(m, [m.pop(), m.pop()].toReversed())], // SETITEM
  [0x75, (m) => setItems(m, m.popToMark())], // SETITEMS
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x4a, (m) => m.push(m.signed())], // BININT
  [0x4b, (m) => m.push(m.unsigned(1))], // BININT1
  [0x4d, (m) => m.push(m.unsigned(2))], // BININT2
  [0x8a, (m) => m.push(longInteger(m.take(m.unsigned(1))))], // LONG1
  [0x47, (m) => m.push({ kind: "float", value: m.double() })], // BINFLOAT
  [0x58, (m) => m.push(m.text(m.unsigned(4)))], // BINUNICODE
  [0x55, (m) => m.push(m.text(m.unsigned(1)))], // SHORT_BINSTRING
  [0x71, (m) => m.remember(m.unsigned(1))], // BINPUT
  [0x72, (m) => m.remember(m.unsigned(4))], // LONG_BINPUT
  [0x68, (m) => m.recall(m.unsigned(1))], // BINGET
  [0x6a, (m) => m.recall(m.unsigned(4))], // LONG_BINGET
]);

/** Known instructions that are refused, for the message. */
const OTHERS: ReadonlyMap<number, string> = new Map([
  [0x92, "NEWOBJ_EX, which makes an object of a class"],
  [0x69, "INST, which makes an object of a class"],
  [0x6f, "OBJ, which makes an object of a class"],
  [0x93, "STACK_GLOBAL, which imports what it has computed"],
  [0x82, "EXT1, which imports by a number"],
  [0x83, "EXT2, which imports by a number"],
  [0x84, "EXT4, which imports by a number"],
  [0x95, "FRAME, of a later protocol"],
  [0x94, "MEMOIZE, of a later protocol"],
  [0x8f, "EMPTY_SET, of a later protocol"],
  [0x50, "PERSID, a text as the name of a storage"],
  [0x30, "POP"],
  [0x32, "DUP"],
]);

function protocol(machine: PickleMachine): void {
  const version = machine.unsigned(1);
  if (version !== PROTOCOL)
    machine.fail(
      "pickle protocol 2, the default of torch.save,",
      `protocol ${version}. Save it again without pickle_protocol`,
    );
}

/** The names that are known; nothing is imported. */
function lookUp(machine: PickleMachine, name: string): PickledValue {
  const isOfScript = machine.isScript && (SCRIPT_CLASS.test(name) || SCRIPT_CALLS.has(name));
  const isElements = STORAGES.has(name) || name === UNTYPED || ELEMENT_TYPES.has(name);
  const isKnown = isElements || CALLS.has(name) || isOfScript;
  return isKnown ? { kind: "class", name } : machine.refuseClass(name.replace(" ", "."));
}

type Call = (machine: PickleMachine, args: readonly PickledValue[]) => PickledValue;

const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  [
    "collections OrderedDict",
    (m, args) => (args.length === 0 ? dict(true) : m.fail("an OrderedDict without arguments", `${args.length}`)),
  ],
  ["torch Size", (m, [sizes]) => tuple(integersOf(m, sizes, "a torch.Size"))],
  ["torch._utils _rebuild_tensor_v2", rebuildTensor],
  ["torch._utils _rebuild_tensor_v3", rebuildTyped],
  [
    "torch._utils _rebuild_parameter",
    (m, [data]) => (isKind(data, "tensor") ? data : m.fail("the tensor of a parameter", described(data))),
  ],
]);

/** Classes that TorchScript has compiled, by module and name. */
const SCRIPT_CLASS = /^__torch__(?:\.[\w.]+)? \w+$/;
/** What TorchScript puts around attributes to keep their types; they are what is inside. */
const SCRIPT_CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["torch device", () => null],
  ...["build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag"].map(
    (name) =>
      [`torch.jit._pickle ${name}`, (_: PickleMachine, [value = null]: readonly PickledValue[]) => value] as const,
  ),
]);

function reduce(machine: PickleMachine): void {
  const [args, callee] = [machine.pop(), machine.pop()];
  const call = isKind(callee, "class") ? (CALLS.get(callee.name) ?? SCRIPT_CALLS.get(callee.name)) : undefined;
  if (call === undefined) machine.fail("a call that makes a tensor or dictionary", `one of ${described(callee)}`);
  if (!isKind(args, "tuple")) machine.fail("a call with a tuple of arguments", described(args));
  machine.push(call(machine, args.items));
}

function newObject(machine: PickleMachine): void {
  const [args, made] = [machine.pop(), machine.pop()];
  if (!isKind(made, "class") || !SCRIPT_CLASS.test(made.name))
    machine.fail("instructions of a state dict", "0x81 (NEWOBJ, which makes an object of a class)");
  if (!isKind(args, "tuple") || args.items.length > 0) machine.fail("an object without arguments", described(args));
  machine.push({ kind: "object", className: made.name, state: undefined });
}

/** Attributes of an OrderedDict, where modules keep versions, are not looked at; those of an object are kept. */
function build(machine: PickleMachine): void {
  const state = machine.pop();
  const target = machine.top();
  if (isKind(target, "object")) {
    if (target.state !== undefined) machine.fail("attributes of an object once", "them twice");
    target.state = state;
    return;
  }
  if (!isKind(target, "dict") || !target.isOrdered)
    machine.fail("attributes of an OrderedDict", `those of ${described(target)}`);
}

function append(machine: PickleMachine, values: readonly PickledValue[]): void {
  const list = machine.top();
  if (!isKind(list, "list")) machine.fail("a list to append to", described(list));
  for (const value of values) list.items.push(value);
}

function setItems(machine: PickleMachine, values: readonly PickledValue[]): void {
  const target = machine.top();
  if (!isKind(target, "dict")) machine.fail("a dictionary to put entries into", described(target));
  if (values.length % 2 === 1) machine.fail("keys with values", "a key without one");
  for (let i = 0; i < values.length; i += 2) {
    const [key = null, value = null] = [values[i], values[i + 1]];
    if (target.entries.has(key)) machine.fail("every key once in a dictionary", `${described(key)} twice`);
    target.entries.set(key, value);
  }
}

/** A persistent identifier: ("storage", class, key, location, number of elements). Where it was (cpu, cuda:0) does not matter. */
function storageOf(machine: PickleMachine, id: PickledValue): PickledStorage {
  const [tag, type, key, , count] = isKind(id, "tuple") && id.items.length === 5 ? id.items : [];
  const dtype = isKind(type, "class") ? (type.name === UNTYPED ? BYTES : STORAGES.get(type.name)) : undefined;
  const isSound = tag === "storage" && dtype !== undefined && typeof key === "string" && /^\d{1,15}$/.test(key);
  if (!isSound || !isUnsigned(count))
    return machine.fail("a storage of a known type with a number for its name", described(id));
  return { kind: "storage", dtype, key, count };
}

/** _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]): the storage counts bytes. */
function rebuildTyped(machine: PickleMachine, args: readonly PickledValue[]): PickledTensor {
  const [storage, , , , , , type] = args;
  const dtype = isKind(type, "class") ? ELEMENT_TYPES.get(type.name) : undefined;
  if (!isKind(storage, "storage") || storage.dtype !== BYTES)
    return machine.fail("a storage of bytes for a tensor with its own type", described(storage));
  if (dtype === undefined) return machine.fail("the type of a tensor's elements", described(type));
  const count = storage.count / itemBytes(dtype);
  if (!Number.isSafeInteger(count)) machine.fail(`a storage of whole elements of ${dtype}`, `${storage.count} bytes`);
  return rebuildTensor(machine, [{ ...storage, dtype, count }, ...args.slice(1)]);
}

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]). */
function rebuildTensor(machine: PickleMachine, args: readonly PickledValue[]): PickledTensor {
  const [storage, offset, size, stride] = args;
  if (!isKind(storage, "storage") || storage.dtype === BYTES)
    return machine.fail("the storage of a tensor", described(storage));
  if (!isUnsigned(offset)) return machine.fail("the offset of a tensor as an unsigned integer", described(offset));
  const [shape, strides] = [
    integersOf(machine, size, "the size of a tensor"),
    integersOf(machine, stride, "the strides of a tensor"),
  ];
  if (shape.length !== strides.length) machine.fail(`${shape.length} strides`, `${strides.length}`);
  return { kind: "tensor", storage, offset, shape, strides };
}

function integersOf(machine: PickleMachine, value: PickledValue | undefined, what: string): number[] {
  const items = isKind(value, "tuple") ? value.items : undefined;
  const numbers = items?.filter(isUnsigned);
  if (items === undefined || numbers === undefined || numbers.length !== items.length || items.length > MAX_RANK)
    return machine.fail(`${what} as unsigned integers`, described(value));
  return numbers;
}

function isUnsigned(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

/** Two's complement, little-endian; a number where it fits. */
function longInteger(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0;
  const hex = Buffer.from(bytes).reverse().toString("hex");
  const value = BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
