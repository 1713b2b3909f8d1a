/**
 * A program as one graph for inputs of any size. Traced graphs are static, so the program is traced at several sizes and the graphs
 * are compared node by node: integers that differ (targets of Reshape, ends of Slice) become polynomials of the inputs' own sizes,
 * computed in the graph; any other difference is refused. Nothing is guessed: two values of each size fix the polynomials, and the graph
 * of a third, which they were not made from, must come out of them.
 */
import { assert, NumericError } from "../../errors.js";
import {
  addInts,
  addNode,
  createGraph,
  type Initializer,
  liveNodes,
  type OnnxGraph,
  type OnnxNode,
  type OnnxValue,
} from "../onnx/graph.js";
import type { Program } from "../program.js";
import { traceProgram } from "./trace-program.js";

/** A size that each run may choose. */
export interface FreeSize {
  /** What it is called in the shapes of inputs and outputs. */
  readonly name: string;
  /** Where the graph finds it: an axis of one of the inputs. */
  readonly input: string;
  readonly axis: number;
  /** Three values to trace at, larger than 1 and different from the program's own sizes, so that none is taken for another. */
  readonly tried: readonly [number, number, number];
}

/** A graph with its outputs, which may be named sizes. */
export interface FreeGraph {
  readonly graph: OnnxGraph;
  readonly outputs: readonly OnnxValue[];
}

/** A program traced at some sizes. */
interface SizedGraph {
  /** In the order of the free sizes. */
  readonly sizes: readonly number[];
  readonly graph: OnnxGraph;
  readonly nodes: readonly OnnxNode[];
  readonly outputs: readonly OnnxValue[];
}

/** An integer as a polynomial of the free sizes: the coefficient of each product of some of them; bit k of its index says whether size k is in it. */
type Polynomial = readonly number[];

/**
 * The program of these sizes for a runtime that has no kernels for the operators in `lacks`. Throws NumericError where the graphs differ in
 * anything but integers that follow from the sizes.
 */
export function traceFreeSizes(
  programOf: (sizes: readonly number[]) => Program,
  free: readonly FreeSize[],
  lacks: ReadonlySet<string>,
): FreeGraph {
  const traced = (sizes: readonly number[]): SizedGraph => {
    const { graph, outputs } = traceProgram(programOf(sizes), lacks);
    const names = outputs.map(({ name }) => name);
    return { sizes, graph, outputs, nodes: liveNodes(graph, names) };
  };
  // One after another: a trace begins where no other is under way.
  const corners = Array.from({ length: 2 ** free.length }, (_, corner) =>
    traced(free.map(({ tried: [low, high] }, k) => (((corner >> k) & 1) === 1 ? high : low))),
  );
  const check = traced(free.map(({ tried }) => tried[2]));
  return joined({ corners, check, free });
}

interface Traces {
  /** At all combinations of two values of each size, in the order of `Polynomial`. */
  readonly corners: readonly SizedGraph[];
  readonly check: SizedGraph;
  readonly free: readonly FreeSize[];
}

function joined(traces: Traces): FreeGraph {
  const { corners, check, free } = traces;
  const [first] = corners;
  assert(first !== undefined, "a program that was not traced");
  const all = [...corners, check];
  const graph = createGraph();
  graph.nextId = first.graph.nextId;
  const inputs = freeValues(
    all.map((one) => one.graph.inputs),
    traces,
  );
  const outputs = freeValues(
    all.map((one) => one.outputs),
    traces,
  );
  graph.inputs.push(...inputs);
  const sizeVector = sizeVectors(graph, free);
  const read = new Set([...first.nodes.flatMap((node) => node.inputs), ...outputs.map(({ name }) => name)]);
  for (const [index, node] of first.nodes.entries()) {
    const same = all.flatMap(({ nodes }) => nodes[index] ?? []);
    if (same.length < all.length || same.some((other) => headOf(other) !== headOf(node)))
      throw differing(`the operator ${node.op} (${node.outputs[0]})`);
    const names = node.inputs.map((name, at) => {
      const found = inputOf(same, at, traces);
      if (found.kind === "sizes") return sizeVector(found.vector);
      if (found.kind === "constant") graph.initializers.set(name, found.constant);
      return name;
    });
    graph.nodes.push({ ...node, inputs: names, outputs: readOutputs(node, read) });
  }
  if (all.some(({ nodes }) => nodes.length !== first.nodes.length)) throw differing("the number of operators");
  return { graph, outputs };
}

type FoundInput =
  | { readonly kind: "value" }
  | { readonly kind: "constant"; readonly constant: Initializer }
  | { readonly kind: "sizes"; readonly vector: readonly Polynomial[] };

/** What input `at` of a node is, which was traced at the corners and at the check. */
function inputOf(same: readonly OnnxNode[], at: number, traces: Traces): FoundInput {
  const names = same.map(({ inputs }) => inputs[at] ?? "");
  const [node] = same;
  assert(node !== undefined, "a node of no trace");
  const all = [...traces.corners, traces.check];
  const constants = all.map(({ graph }, which) => graph.initializers.get(names[which] ?? ""));
  const [constant] = constants;
  if (constant === undefined) {
    if (names.some((name) => name !== names[0])) throw differing(`an input of ${node.op} (${names[0]})`);
    return { kind: "value" };
  }
  if (constants.every((other) => other !== undefined && isEqual(other, constant)))
    return { kind: "constant", constant };
  const lists = constants.map((other) => integersOf(other, node));
  if (lists.some((list) => list.length !== lists[0]?.length)) throw differing(`the rank of ${node.op}`);
  return { kind: "sizes", vector: (lists[0] ?? []).map((_, element) => polynomialOf(lists, element, traces, node)) };
}

/** What of a node must be equal besides its inputs. */
function headOf({ op, domain, inputs, outputs, attributes }: OnnxNode): string {
  return JSON.stringify([op, domain, inputs.length, outputs, attributes]);
}

/** Without those at the end that nobody reads, which are optional: not every runtime computes them. */
function readOutputs({ outputs }: OnnxNode, read: ReadonlySet<string>): readonly string[] {
  return outputs.slice(0, outputs.findLastIndex((name) => read.has(name)) + 1);
}

function isEqual(a: Initializer, b: Initializer): boolean {
  return a.type === b.type && a.shape.join() === b.shape.join() && Buffer.compare(a.bytes, b.bytes) === 0;
}

/** Shapes, starts and ends are vectors of int64. */
function integersOf(constant: Initializer | undefined, { op }: OnnxNode): readonly number[] {
  if (constant?.type !== "int64" || constant.shape.length !== 1) throw differing(`a constant of ${op}`);
  const { buffer, byteOffset, byteLength } = Uint8Array.from(constant.bytes);
  return Array.from(new BigInt64Array(buffer, byteOffset, byteLength / BigInt64Array.BYTES_PER_ELEMENT), Number);
}

function freeValues(lists: readonly (readonly OnnxValue[])[], traces: Traces): OnnxValue[] {
  const [first = []] = lists;
  return first.map((value, index) => {
    const same = lists.map((list) => list[index]);
    if (same.some((other) => other?.name !== value.name || other.shape.length !== value.shape.length))
      throw differing(`the shape of ${value.name}`);
    const shapes = same.map((other) => (other?.shape ?? []).map(Number));
    const shape = value.shape.map((_, axis) => {
      const polynomial = polynomialOf(shapes, axis, traces, { op: value.name });
      const name = traces.free.find((_size, k) =>
        polynomial.every((part, index) => part === (index === 1 << k ? 1 : 0)),
      );
      const [constant = 0, ...others] = polynomial;
      if (name === undefined && others.some((part) => part !== 0)) throw differing(`the shape of ${value.name}`);
      return name?.name ?? constant;
    });
    return { ...value, shape };
  });
}

/** Element number `element` of lists that were traced at the corners and at the check, which it must agree with. */
function polynomialOf(
  lists: readonly (readonly number[])[],
  element: number,
  { corners, check, free }: Traces,
  { op }: Pick<OnnxNode, "op">,
): Polynomial {
  const values = lists.map((list) => list[element] ?? Number.NaN);
  const parts = values.slice(0, corners.length);
  // Newton's divided differences, one size after another.
  for (const [k, { tried }] of free.entries()) {
    const [low, high] = tried;
    for (const [corner, atLow] of parts.entries()) {
      if (((corner >> k) & 1) === 1) continue;
      const slope = ((parts[corner | (1 << k)] ?? Number.NaN) - atLow) / (high - low);
      parts[corner] = atLow - slope * low;
      parts[corner | (1 << k)] = slope;
    }
  }
  const expected = parts.reduce(
    (sum, part, index) => sum + part * check.sizes.reduce((a, size, k) => (((index >> k) & 1) === 1 ? a * size : a), 1),
    0,
  );
  if (!parts.every(Number.isSafeInteger) || expected !== values.at(-1)) throw differing(`a size of ${op}`);
  return parts;
}

/** What adds nodes that compute vectors of integers; each size, product and vector once. */
function sizeVectors(graph: OnnxGraph, free: readonly FreeSize[]): (vector: readonly Polynomial[]) => string {
  const known = new Map<string, string>();
  const once = (key: string, add: () => string): string => {
    const name = known.get(key) ?? add();
    known.set(key, name);
    return name;
  };
  const product = (index: number): string =>
    once(`product ${index}`, () => {
      const k = free.findIndex((_, size) => ((index >> size) & 1) === 1);
      const size = free[k];
      assert(size !== undefined, "an empty product of sizes");
      const axis = { start: { int: size.axis }, end: { int: size.axis + 1 } };
      const own = once(`size ${k}`, () => addNode(graph, "Shape", [size.input], axis));
      const others = index & ~(1 << k);
      return others === 0 ? own : addNode(graph, "Mul", [own, product(others)]);
    });
  /** As a vector of one element. */
  const element = (polynomial: Polynomial): string =>
    once(`element ${polynomial.join()}`, () => {
      const [constant = 0] = polynomial;
      const terms = polynomial.flatMap((part, index) => {
        if (index === 0 || part === 0) return [];
        return [part === 1 ? product(index) : addNode(graph, "Mul", [product(index), addInts(graph, [part])])];
      });
      if (constant !== 0 || terms.length === 0) terms.push(addInts(graph, [constant]));
      return terms.reduce((a, b) => addNode(graph, "Add", [a, b]));
    });
  return (vector) =>
    once(`vector ${vector.map((polynomial) => polynomial.join()).join(" ")}`, () => {
      const elements = vector.map(element);
      const [only] = elements;
      if (only !== undefined && elements.length === 1) return only;
      return addNode(graph, "Concat", elements, { axis: { int: 0 } });
    });
}

function differing(what: string): NumericError {
  return new NumericError(
    `expected a program that does the same with inputs of any size, found one in which ${what} differs; compute with the tensors' own shapes, or report it if the family of models is not yours`,
  );
}
