/**
 * A saved model as one ONNX file that needs nothing of ours: features of images or tokens and, with a head, logits and
 * probabilities, for any number of examples and any length of texts.
 */
import { encodeFloat16Into } from "../../checkpoint/float16.js";
import { requireFinite, tensorPlace } from "../../checkpoint/task-vectors.js";
import { addNode, type OnnxGraph, type OnnxType, type OnnxValue, typeCode } from "../../engine/onnx/graph.js";
import { needsWeightsFile, weightsFileOf, writeModel } from "../../engine/onnx/write-model.js";
import type { TensorSource } from "../../engine/program.js";
import { traceFreeSizes } from "../../engine/trace/free-sizes.js";
import { assert, CheckpointError, ConfigError } from "../../errors.js";
import { headSources } from "../../model/head-program.js";
import type { Head } from "../../model/heads.js";
import { weightSources } from "../../optimize/step-program.js";
import { requireFilePlace } from "../../runtime/output-place.js";
import { quote } from "../../runtime/printable.js";
import { openSavedClassifier } from "../predict/saved-classifier.js";
import { openSavedEncoder, type SavedEncoder } from "../predict/saved-encoder.js";
import { packageVersion } from "../records/records.js";
import { exportNotes, type NotedHead } from "./metadata.js";
import { type Served, type StoredType, servedProgram } from "./served-program.js";

export interface ExportOnnxOptions {
  /** Absolute path of the new file. */
  readonly output: string;
  /** The head whose logits and probabilities are computed; features alone if absent. */
  readonly task?: string | undefined;
  /** How weights are stored; default float32. */
  readonly dtype?: StoredType | undefined;
  /** Whether a file at `output` may be replaced; default false. */
  readonly overwrite?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is told what was assumed. */
  readonly notice?: ((text: string) => void) | undefined;
  /** The largest file; for tests. */
  readonly maxModelBytes?: number | undefined;
}

/** What was written, and how the file names its inputs and outputs. */
export interface ExportedOnnx {
  /** The model and, where it is too large for one file, its weights beside it. */
  readonly files: readonly string[];
  readonly bytes: number;
  /** Names and shapes, with the names of sizes that each run may choose. */
  readonly inputs: ReadonlyMap<string, readonly (number | string)[]>;
  readonly outputs: ReadonlyMap<string, readonly (number | string)[]>;
  readonly metadata: ReadonlyMap<string, string>;
}

const ENDING = ".onnx";
/** Operators of ONNX Runtime alone: without them the file is for other runtimes too, and ONNX Runtime puts them together again. */
const OWN_OPERATORS: ReadonlySet<string> = new Set(["FusedMatMul", "Gelu", "QuickGelu", "FastGelu"]);

/**
 * Throws CheckpointError and ConfigError as `openSavedClassifier`, ConfigError for an output that is none, and
 * CheckpointError for weights that are no numbers or too large for float16.
 */
export async function exportOnnx(folder: string, options: ExportOnnxOptions): Promise<ExportedOnnx> {
  const { output, task, dtype = "float32", overwrite = false, signal, notice = () => {}, maxModelBytes } = options;
  const shown = `--output ${output}`;
  if (!output.endsWith(ENDING))
    throw new ConfigError(
      `${shown}: expected a name that ends with ${ENDING}; name the file model${ENDING}, for example`,
    );
  // Also in the model's own folder, where programs look for it: no file that is read ends like that.
  const place = { inputs: [], overwrite };
  await requireFilePlace(output, { ...place, shown });
  const { saved, head, noted } = await openServed(folder, task, notice);
  signal?.throwIfAborted();
  const { model, family } = saved;
  const served: Served = { folder: saved.folder, model, head, dtype, needsServed: family.kind === "image" };
  const { free, programOf } = servedProgram(served);
  const { graph, outputs } = traceFreeSizes(programOf, free, OWN_OPERATORS);
  signal?.throwIfAborted();
  const weights = await saved.weights();
  for (const [name, values] of weights) requireFinite(values, tensorPlace(saved.folder, name));
  const sources = [...weightSources(model, weights), ...headSources(head === undefined ? [] : [head])];
  fillIn(graph, new Map(sources), saved.folder);
  takeInt64(graph);
  signal?.throwIfAborted();
  const metadata = await exportNotes(saved, noted, dtype);
  const written = { graph, outputs, metadata, version: packageVersion() };
  if (needsWeightsFile(written, maxModelBytes)) {
    const beside = weightsFileOf(output);
    await requireFilePlace(beside, { ...place, shown: `${shown} (the weights, in ${beside})` });
  }
  const { files, bytes } = await writeModel(output, written, { maxBytes: maxModelBytes });
  const shapes = (values: readonly OnnxValue[]) => new Map(values.map(({ name, shape }) => [name, shape]));
  return { files, bytes, inputs: shapes(graph.inputs), outputs: shapes(outputs), metadata };
}

interface OpenServed {
  readonly saved: SavedEncoder;
  readonly head: Head | undefined;
  readonly noted: NotedHead | undefined;
}

async function openServed(
  folder: string,
  task: string | undefined,
  notice: (text: string) => void,
): Promise<OpenServed> {
  if (task === undefined) return { saved: await openSavedEncoder(folder), head: undefined, noted: undefined };
  const saved = await openSavedClassifier(folder, { tasks: [task], notice });
  const [head] = saved.heads;
  assert(head !== undefined, "a classifier without the head that was asked for");
  const classes = saved.headFiles.get(task)?.classes ?? saved.classifier?.names;
  return { saved, head, noted: { task, classes, logitScale: head.logitScale } };
}

/** Weights become a part of the graph instead of inputs. */
function fillIn(graph: OnnxGraph, sources: ReadonlyMap<string, TensorSource>, folder: string): void {
  const inputs = graph.inputs.splice(0);
  for (const { name, type, shape } of inputs) {
    const source = sources.get(name);
    if (source === undefined) {
      graph.inputs.push({ name, type, shape });
      continue;
    }
    assert(source.kind === "memory" && source.values instanceof Float32Array, `weights ${name} that are not in memory`);
    const bytes = stored(source.values, type, `${folder}: ${quote(name)}`);
    graph.initializers.set(name, { name, type, shape: shape.map(Number), bytes });
  }
}

function stored(values: Float32Array, type: OnnxType, where: string): Uint8Array {
  const { buffer, byteOffset, byteLength } = type === "float16" ? halves(values, where) : values;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function halves(values: Float32Array, where: string): Uint16Array {
  const bits = new Uint16Array(values.length);
  if (encodeFloat16Into(values, bits)) return bits;
  throw new CheckpointError(`${where}: expected values within float16, found one beyond 65504; use --dtype float32`);
}

/** Numbers of tokens, masks and segments come as int64 from every tokenizer; inside they are what the program takes. */
function takeInt64(graph: OnnxGraph): void {
  const narrowed = new Map<string, string>();
  const nodes = graph.nodes.splice(0);
  for (const [index, input] of graph.inputs.entries()) {
    if (input.type !== "int32" && input.type !== "uint8") continue;
    graph.inputs[index] = { ...input, type: "int64" };
    // uint8 is widened by a node of the program, which takes any type.
    if (input.type === "int32")
      narrowed.set(input.name, addNode(graph, "Cast", [input.name], { to: { int: typeCode("int32") } }));
  }
  for (const node of nodes)
    graph.nodes.push({
      ...node,
      inputs: node.inputs.map((name) => (node.op === "Shape" ? name : (narrowed.get(name) ?? name))),
    });
}
