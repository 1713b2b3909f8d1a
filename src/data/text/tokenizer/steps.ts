/** How the steps of a tokenizer.json (`{"type": ..., ...}`) are read: each kind has a schema and a function; what is unknown is refused. */
import { z } from "zod";
import { quote } from "../../../runtime/printable.js";

const typed = z.looseObject({ type: z.string() });

/** A kind of step: what its JSON makes. Throws StepError. */
export type MakeStep<Step> = (json: unknown) => Step;

/** What is wrong with a step: "expected ..., found ...". The reader of the files says where, and what to do. */
export class StepError extends Error {
  override readonly name = "StepError";
}

/** The step that `json` describes. `what` is for messages: "normalizer". */
export function makeStep<Step>(json: unknown, what: string, kinds: ReadonlyMap<string, MakeStep<Step>>): Step {
  const { type } = parsed(typed, json, what);
  const make = kinds.get(type);
  if (make === undefined)
    throw new StepError(`expected a ${what} of the types ${[...kinds.keys()].join(", ")}, found ${quote(type)}`);
  return make(json);
}

/** `json` if it is what `schema` says. Throws StepError that names the field. */
export function parsed<Schema extends z.ZodType>(schema: Schema, json: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = [what, ...(issue?.path ?? []).map(String)].join(".");
  if (issue?.message.endsWith("received undefined") === true)
    throw new StepError(`expected a value of ${quote(place)}, found none`);
  throw new StepError(`expected another value of ${quote(place)}, found one that does not fit (${issue?.message})`);
}
