/**
 * What the card of a model that is read (README.md in its folder) says for the card of one that is made of it: its
 * licence, and what it was itself made of. A card is anybody's text: what does not have the hub's form is not there.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { parseReference } from "../checkpoint/hub/reference.js";
import { MAX_README_LENGTH, readmeHead } from "../data/readers/readme-configs.js";
import { UserError } from "../errors.js";
import { readTextIfThere } from "../runtime/regular-file.js";

/** As the hub's metadata has it. */
export interface Licence {
  /** `apache-2.0`, or `other` with a name. */
  readonly id: string;
  readonly name?: string | undefined;
  readonly link?: string | undefined;
}

export interface CardFacts {
  readonly licence?: Licence | undefined;
  /** Hub ids. */
  readonly baseModels: readonly string[];
  readonly relation?: string | undefined;
}

const NONE: CardFacts = { baseModels: [] };
/** No list of licences: the hub's grows. */
const LICENCE_ID = /^[a-z0-9][a-z0-9.+-]{1,50}$/;
/** Characters of a name, and of an address. */
const MAX_TEXT = 300;

const one = <T extends z.ZodType>(value: T) => z.union([value, z.array(value).length(1)]).transform((v) => [v].flat());
const licenceSchema = z.object({ license: one(z.string().toLowerCase().regex(LICENCE_ID)) });
const namedSchema = z.object({ license_name: z.string().min(1).max(MAX_TEXT) });
const linkedSchema = z.object({ license_link: z.string().min(1).max(MAX_TEXT) });
const baseSchema = z.object({ base_model: z.union([z.string(), z.array(z.string())]).transform((v) => [v].flat()) });
const relationSchema = z.object({ base_model_relation: z.enum(["finetune", "merge", "adapter", "quantized"]) });

/** Of the model at `path`, a folder or a file in it; nothing for a model without a card, or with one that is not read. */
export async function readCardFacts(path: string): Promise<CardFacts> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return NONE;
  const file = join(found.isDirectory() ? path : dirname(path), "README.md");
  // A card that is too large or no text says nothing; the model is what it was.
  const text = await readTextIfThere(file, "a model card", MAX_README_LENGTH, UserError).catch(() => undefined);
  return text === undefined ? NONE : factsOf(readmeHead(text));
}

function factsOf(head: unknown): CardFacts {
  const [id] = licenceSchema.safeParse(head).data?.license ?? [];
  const name = namedSchema.safeParse(head).data?.license_name;
  const link = linkedSchema.safeParse(head).data?.license_link;
  const bases = baseSchema.safeParse(head).data?.base_model ?? [];
  return {
    ...(typeof id === "string" ? { licence: { id, name, link } } : {}),
    baseModels: bases.filter((base) => typeof base === "string" && parseReference(base, "model") !== undefined),
    relation: relationSchema.safeParse(head).data?.base_model_relation,
  };
}
