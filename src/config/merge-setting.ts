/**
 * Settings of a merge that may differ from tensor to tensor, in mergekit's forms: one value, a gradient over depth, or a list of cases by
 * tensor name. Source of the forms: mergekit's README, "Parameter specification".
 */
import { z } from "zod";

const scalar = z.union([z.number(), z.boolean()]);
const gradient = z.array(z.number()).min(1);
const value = z.union([scalar, gradient]);
const conditional = z.strictObject({ filter: z.string().optional(), value });

/** A value, a gradient (values at equal distances of depth), or cases of which the first that matches counts. */
export const mergeSettingSchema = z.union([value, z.array(conditional).min(1)]);

export type MergeSetting = z.output<typeof mergeSettingSchema>;

/** A tensor, and how deep in the model it lies, from 0 to 1. */
export interface TensorPlace {
  readonly name: string;
  readonly depth: number;
}

/** What a setting is for a tensor; undefined when it has cases and none matches. A case matches by a part of the name, `*`, or without filter. */
export function settingAt(setting: MergeSetting, { name, depth }: TensorPlace): number | boolean | undefined {
  if (!Array.isArray(setting)) return setting;
  if (isGradient(setting)) return interpolated(setting, depth);
  const found = setting.find(({ filter }) => filter === undefined || filter === "*" || name.includes(filter));
  return found === undefined ? undefined : settingAt(found.value, { name, depth });
}

function isGradient(setting: Exclude<MergeSetting, number | boolean>): setting is number[] {
  return typeof setting[0] === "number";
}

function interpolated(values: readonly number[], depth: number): number {
  const at = depth * (values.length - 1);
  const lower = Math.min(Math.floor(at), values.length - 1);
  const upper = Math.min(lower + 1, values.length - 1);
  const part = at - lower;
  return (1 - part) * (values[lower] ?? 0) + part * (values[upper] ?? 0);
}
