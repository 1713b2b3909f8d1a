/** The encoder of the examples of a text model: the folder's own tokenizer, with the lengths that the model's graphs have. */
import { join } from "node:path";
import type { Encoder } from "../../data/encoder.js";
import { textEncoder } from "../../data/text/text-encoder.js";
import { openTextTokenizer } from "../../data/text/text-tokenizer.js";
import type { Model } from "../family.js";
import { SEGMENTS } from "./encoder.js";

export interface EncoderWanted {
  readonly folder: string;
  /** Numbers of tokens must be below it: a tokenizer that has others is refused, since a graph has no words for that. */
  readonly vocabularySize: number;
  /** Where texts are cut, its ends included. */
  readonly longest: number;
  readonly model: Model;
}

/** Throws CheckpointError for a folder without a tokenizer that is read. */
export async function openEncoder({ folder, vocabularySize, longest, model }: EncoderWanted): Promise<Encoder> {
  return textEncoder({
    tokenizer: await openTextTokenizer(folder),
    vocabularySize,
    vocabularySource: join(folder, "config.json"),
    lengths: model.lengths ?? [longest],
    hasSegments: model.inputs(1).has(SEGMENTS),
  });
}
