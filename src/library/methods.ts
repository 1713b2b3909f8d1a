/** `methods` for programs: the training-free merging methods, their papers and their settings, as `adamerge methods` lists them. */
import { z } from "zod";
import type { MergeMethod } from "../merge/methods/method.js";
import { mergeMethods } from "../merge/methods/registry.js";
import { tensorMethods } from "../merge/per-tensor/registry.js";
import type { TensorMethod } from "../merge/per-tensor/tensor-method.js";

/** A training-free method as `adamerge methods` shows it. */
export interface MethodDescription {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** What it sees at once: any run of elements, or whole tensors; of merge files' methods each tensor is merged by itself. */
  readonly unit: string;
  /** Makes one model for each task: the task must be known at inference. */
  readonly perTask: boolean;
  /** Looks at unlabelled examples of every task. */
  readonly needsImages: boolean;
  readonly settings: readonly MethodSetting[];
}

/** One setting of a method. */
export interface MethodSetting {
  readonly name: string;
  readonly description: string;
  /** As JSON; undefined when the setting must be given. */
  readonly default: string | undefined;
}

/** The unit of methods by mergekit's definitions, which merge files name as `merge_method`. */
export const BY_TENSOR = "each tensor by itself";

/** First those that `evaluate` and `method` of merge files take, then those of `merge_method`. */
export function methods(): readonly MethodDescription[] {
  return [...[...mergeMethods.values()].map(described), ...[...tensorMethods.values()].map(describedByTensor)];
}

function described({ name, title, paper, unit, perTask, needsImages, parameters }: MergeMethod): MethodDescription {
  const needs = { perTask: perTask === true, needsImages: needsImages === true };
  return { name, title, paper, unit, ...needs, settings: settingsOf(parameters) };
}

function describedByTensor({ name, title, paper, perModel, shared }: TensorMethod): MethodDescription {
  const settings = [...settingsOf(perModel), ...settingsOf(shared)];
  return { name, title, paper, unit: BY_TENSOR, perTask: false, needsImages: false, settings };
}

function settingsOf(schema: z.ZodObject): MethodSetting[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description = "", default: value } = typeof property === "object" ? property : {};
    return { name, description, default: required.includes(name) ? undefined : JSON.stringify(value) };
  });
}
