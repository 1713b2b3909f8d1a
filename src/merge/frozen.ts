/**
 * Tensors that stay as the base has them, by patterns: of a bundle, their task vectors are left out, and nothing is
 * learned for them.
 */
import type { Bundle } from "../checkpoint/bundle.js";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { quote } from "../runtime/printable.js";
import { globToRegExp } from "./groups.js";

/** A bundle without the task vectors of tensors whose names match one of the patterns. Throws ConfigError for a pattern that matches none. */
export function withFrozen(bundle: Bundle, patterns: readonly string[]): Bundle {
  const isFrozen = frozenByPatterns(
    bundle.tensors.map(({ name }) => name),
    patterns,
  );
  return patterns.length === 0 ? bundle : frozenBundle(bundle, isFrozen);
}

/** Whether a tensor of these names matches one of the patterns. Throws ConfigError for a pattern that matches none. */
export function frozenByPatterns(names: readonly string[], patterns: readonly string[]): (name: string) => boolean {
  return matcherOf("freeze", names, patterns);
}

/** As `frozenByPatterns`, for the patterns of any setting, which the message names. */
export function matcherOf(
  setting: string,
  names: readonly string[],
  patterns: readonly string[],
): (name: string) => boolean {
  const expressions = patterns.map((pattern, index) => {
    const expression = globToRegExp(pattern);
    if (names.some((name) => expression.test(name))) return expression;
    const close = nearest(pattern, names);
    throw new ConfigError(
      `${setting}.${index}: expected a pattern that some tensor matches, found ${quote(pattern)}; names look like ${close ?? names[0] ?? "(none)"}`,
    );
  });
  return (name) => expressions.some((expression) => expression.test(name));
}

/** A bundle without the task vectors of some of its tensors, which are the base's own. */
export function frozenBundle(bundle: Bundle, isFrozen: (name: string) => boolean): Bundle {
  return {
    ...bundle,
    tensors: bundle.tensors.map((tensor) => {
      if (!isFrozen(tensor.name)) return tensor;
      const { taskVectors: _, scales: __, pretrained, ...baseOnly } = tensor;
      return pretrained === undefined ? baseOnly : { ...baseOnly, base: pretrained };
    }),
  };
}
