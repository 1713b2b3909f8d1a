/**
 * Heads that a suite describes instead of naming their file: class prototypes of labelled examples (run/heads/prototype-heads.ts), features of the
 * classes' names (run/heads/zero-shot-heads.ts), or the classifier that an expert was saved with (run/classifier-heads.ts). The schema of that part of
 * suite.yaml.
 */
import { z } from "zod";
import { splitName } from "./split-names.js";

/** Where the class's name goes in a template. */
export const CLASS_SLOT = "{}";

export const prototypesSchema = z.strictObject({
  split: splitName.describe("Split whose labelled examples make the head; judge on another"),
  model: z
    .enum(["expert", "base"])
    .default("expert")
    .describe("Whose features: the task's expert (more accurate), or the base"),
});

const template = z.string().refine((value) => value.split(CLASS_SLOT).length === 2, {
  error: ({ input }) =>
    `expected a text with exactly one ${CLASS_SLOT} where the class's name goes, found ${JSON.stringify(input)}`,
});

export const zeroShotSchema = z.strictObject({
  templates: z
    .array(template)
    .min(1)
    .describe(`Prompts with one ${CLASS_SLOT} each, where the class's name goes: ["a photo of a ${CLASS_SLOT}."]`),
  names: z
    .array(z.string().min(1))
    .min(2)
    .optional()
    .describe("The classes as prompts say them, in the order of `classes`; `classes` if absent"),
});

export const prototypesHeadSchema = z.strictObject({ prototypes: prototypesSchema });
export const zeroShotHeadSchema = z.strictObject({ zero_shot: zeroShotSchema });
export const classifierHeadSchema = z.strictObject({
  classifier: z
    .enum(["expert"])
    .describe("expert: the classifier that the task's expert was saved with, as *ForSequenceClassification"),
});

export type PrototypesRecipe = z.output<typeof prototypesSchema>;
export type ZeroShotRecipe = z.output<typeof zeroShotSchema>;
/**
 * How a head is made: class prototypes of a split, text features of the classes' names, or the classifier that the
 * expert was saved with.
 */
export type HeadRecipe =
  | z.output<typeof prototypesHeadSchema>
  | z.output<typeof zeroShotHeadSchema>
  | z.output<typeof classifierHeadSchema>;

/** Whether a task's head is the classifier that its expert was saved with. */
export function isClassifier(head: string | HeadRecipe): boolean {
  return typeof head !== "string" && "classifier" in head;
}

/** How a task's head is made of labelled examples; undefined where it is not. */
export function prototypesOf(head: string | HeadRecipe): PrototypesRecipe | undefined {
  return typeof head !== "string" && "prototypes" in head ? head.prototypes : undefined;
}

/** How a task's head is made of its classes' names; undefined where it is not. */
export function zeroShotOf(head: string | HeadRecipe): ZeroShotRecipe | undefined {
  return typeof head !== "string" && "zero_shot" in head ? head.zero_shot : undefined;
}
