/**
 * Writes an ONNX graph with its weights as a file. A protobuf message may not have 2 GiB: the weights of a larger model lie in a second file
 * beside it, as ONNX's external data. Both appear whole or not at all.
 */
import { type FileHandle, rm } from "node:fs/promises";
import { basename } from "node:path";
import { requireSpace } from "../../checkpoint/safetensors-writer.js";
import { withAtomicFile } from "../../runtime/atomic-file.js";
import { type ExternalPlace, type ModelNotes, modelFields, usedInitializers } from "./encode-model.js";
import { isFormerWeights } from "./former-weights.js";
import { type Initializer, liveNodes, type OnnxGraph, type OnnxValue } from "./graph.js";

/** What every reader of protobuf takes: sizes are 32-bit integers with a sign. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;
/** Small constants, such as shapes, stay in the model: runtimes look at them before weights are loaded. */
const MIN_EXTERNAL_BYTES = 1024;
/** Of a memory page, so that runtimes can map weights instead of reading them. */
const ALIGNMENT_BYTES = 4096;
/** Fields of a few bytes are joined to pieces of this size, each of which costs a call of the system. */
const PIECE_BYTES = 2 ** 16;

export interface WrittenModel extends Omit<ModelNotes, "external"> {
  readonly graph: OnnxGraph;
  readonly outputs: readonly OnnxValue[];
}

/** Where a model that is too large for one file has its weights. */
export function weightsFileOf(path: string): string {
  return `${path}.data`;
}

/** Whether the model needs a second file. */
export function needsWeightsFile({ graph, outputs, ...notes }: WrittenModel, maxBytes = MAX_MODEL_BYTES): boolean {
  return sizeOfPieces(modelFields(graph, outputs, notes).flat()) > maxBytes;
}

/** Replaces what is there, with the weights beside it that are ours. Throws CheckpointError or UserError for a disk that refuses. */
export async function writeModel(
  path: string,
  model: WrittenModel,
  { maxBytes = MAX_MODEL_BYTES }: { readonly maxBytes?: number | undefined } = {},
): Promise<{ readonly files: readonly string[]; readonly bytes: number }> {
  const { graph, outputs, ...notes } = model;
  if (!needsWeightsFile(model, maxBytes)) {
    const pieces = modelFields(graph, outputs, notes).flat();
    const bytes = sizeOfPieces(pieces);
    await requireSpace(path, bytes);
    // Looked at first: afterwards nothing tells that they are ours.
    const isLeft = await isFormerWeights(path, weightsFileOf(path));
    await withAtomicFile(path, (file) => writePieces(file, pieces));
    if (isLeft) await rm(weightsFileOf(path), { force: true });
    return { files: [path], bytes };
  }
  const weightsPath = weightsFileOf(path);
  const { external, weights } = placed(model, basename(weightsPath));
  const pieces = modelFields(graph, outputs, { ...notes, external }).flat();
  const bytes = sizeOfPieces(pieces) + sizeOfPieces(weights);
  await requireSpace(path, bytes);
  await withAtomicFile(path, async (file) => {
    await writePieces(file, pieces);
    await withAtomicFile(weightsPath, async (weightsFile) => {
      await writePieces(weightsFile, weights);
      // An earlier model would be read with the weights of this one.
      await rm(path, { force: true });
    });
  });
  return { files: [path, weightsPath], bytes };
}

/** The weights one behind another, with zeros in between that align them. */
function placed({ graph, outputs }: WrittenModel, file: string) {
  const nodes = liveNodes(
    graph,
    outputs.map(({ name }) => name),
  );
  const external = new Map<string, ExternalPlace>();
  const weights: Uint8Array[] = [];
  let offset = 0;
  for (const { name, bytes } of usedInitializers(graph, nodes).filter(isLarge)) {
    const begin = Math.ceil(offset / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    weights.push(new Uint8Array(begin - offset), bytes);
    external.set(name, { file, offset: begin });
    offset = begin + bytes.byteLength;
  }
  return { external, weights };
}

function isLarge({ bytes }: Initializer): boolean {
  return bytes.byteLength >= MIN_EXTERNAL_BYTES;
}

function sizeOfPieces(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((total, { byteLength }) => total + byteLength, 0);
}

async function writePieces(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  let small: Uint8Array[] = [];
  const writeSmall = async (): Promise<void> => {
    await file.writeFile(Buffer.concat(small));
    small = [];
  };
  for (const piece of pieces) {
    if (sizeOfPieces(small) + piece.byteLength > PIECE_BYTES) await writeSmall();
    if (piece.byteLength > PIECE_BYTES) await file.writeFile(piece);
    else small.push(piece);
  }
  await writeSmall();
}
