/**
 * Settings of a merge that may differ from tensor to tensor, in mergekit's forms: one value, a gradient over depth, or a list of cases by
 * tensor name. Source of the forms: mergekit's README, "Parameter specification".
 */
import { z } from "zod";

/** Words that YAML 1.1, which mergekit reads, takes for true and false. */
const WORDS: ReadonlyMap<string, boolean> = new Map([
  ...["yes", "on", "true"].map((word) => [word, true] as const),
  ...["no", "off", "false"].map((word) => [word, false] as const),
]);
/** A number in quotes, or such a word: mergekit takes both. */
const written = z.string().transform((text, context) => {
  const word = WORDS.get(text.toLowerCase());
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (word !== undefined) return word;
  if (Number.isFinite(number)) return number;
  context.addIssue({ code: "custom", message: "expected a number, or true or false" });
  return z.NEVER;
});
const number = z.union([z.number(), written.pipe(z.number())]);
const scalar = z.union([z.number(), z.boolean(), written]);
const gradient = z.array(number).min(1);
const value = z.union([scalar, gradient]);
const conditional = z.strictObject({ filter: z.string().nullish(), value });

/** A value, a gradient (values at equal distances of depth), or cases of which the first that matches counts; one case may stand alone. */
export const mergeSettingSchema = z.union([
  value,
  z.array(conditional).min(1),
  conditional.transform((only) => [only]),
]);

/** For messages. */
export const SETTING_FORMS = "expected a number, a list of numbers, or a list of {filter, value}";

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
  const found = setting.find(({ filter }) => filter == null || filter === "*" || name.includes(filter));
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

/** The cases of `first`, and where none of them matches, `second`. */
export function settingOrElse(first: MergeSetting, second: MergeSetting | undefined): MergeSetting {
  return second === undefined ? first : [...casesOf(first), ...casesOf(second)];
}

function casesOf(setting: MergeSetting): Exclude<MergeSetting, number | boolean | number[]> {
  return Array.isArray(setting) && !isGradient(setting) ? setting : [{ value: setting }];
}
