/**
 * Names of settings in a merge file: those that no method has are mistakes, those that only other methods have are
 * passed over with a notice.
 */
import type { MergeFile } from "../../config/merge-file.js";
import { MERGEKIT_SETTINGS } from "../../config/mergekit-forms.js";
import { ConfigError } from "../../errors.js";
import type { TensorMethod } from "../../merge/per-tensor/tensor-method.js";
import { nearest } from "../../runtime/nearest.js";
import { quote } from "../../runtime/printable.js";

/** Returns notices of what the method has no use for. Throws ConfigError for the first name that is known nowhere. */
export function checkSettingNames(
  { models, base, parameters, locate }: MergeFile,
  { name: method, perModel, shared, base: baseUse }: TensorMethod,
): readonly string[] {
  const [ofModel, ofAll] = [Object.keys(perModel.shape), Object.keys(shared.shape)];
  const unused = new Map<string, string>();
  const check = (
    keys: readonly string[],
    path: readonly PropertyKey[],
    where: string,
    used: readonly string[],
  ): void => {
    for (const key of keys) {
      const place = locate([...path, key]);
      const known = [...new Set([...ofModel, ...ofAll, ...MERGEKIT_SETTINGS])];
      if (!known.includes(key)) {
        // What the method has is meant before what others have.
        const guess = nearest(key, [...ofModel, ...ofAll]) ?? nearest(key, known);
        throw new ConfigError(
          `${place}: ${where}: unknown setting ${quote(key)} of ${method}, which has ${[...ofModel, ...ofAll].join(", ") || "none"}${guess === undefined ? "" : `; did you mean ${guess}?`}`,
        );
      }
      if (!used.includes(key) && !unused.has(key)) unused.set(key, `${place}: ${where}: ${key}`);
    }
  };
  for (const [at, model] of models.entries()) {
    const isBase = baseUse === "required" && model.path === base?.path;
    const path = ["models", at, "parameters"];
    check(Object.keys(model.parameters), path, `models: ${model.name}: parameters`, isBase ? [] : ofModel);
  }
  check(Object.keys(parameters), ["parameters"], "parameters", [...ofModel, ...ofAll]);
  return [...unused.values()].map((place) => `${place} is not used by ${method} there, and passed over`);
}
