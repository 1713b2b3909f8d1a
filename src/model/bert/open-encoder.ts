/** The encoder of the examples of a text model: the folder's own tokenizer, with the lengths that the model's graphs have. */
import type { Encoder } from "../../data/encoder.js";
import { CheckpointError } from "../../errors.js";
import type { Model } from "../family.js";

export interface EncoderWanted {
  readonly folder: string;
  /** Numbers of tokens must be below it: a tokenizer that has others is refused, since a graph has no words for that. */
  readonly vocabularySize: number;
  /** Where texts are cut, its ends included. */
  readonly longest: number;
  readonly model: Model;
}

export async function openEncoder({ folder }: EncoderWanted): Promise<Encoder> {
  throw new CheckpointError(`${folder}: texts cannot be encoded yet`);
}
