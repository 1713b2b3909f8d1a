/** From a method's name and settings, as configs and the command line give them, to what can be evaluated. */
import { explainIssue } from "../../config/issues.js";
import { ConfigError } from "../../errors.js";
import type { MergeMethod } from "../../merge/methods/method.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { nearest } from "../../runtime/nearest.js";

/**
 * Models that are there without merging: the base, each expert on its own task, the suite's multi-task model, and the mean of all experts'
 * logits (which takes a forward of every expert for each image).
 */
export const REFERENCES = ["pretrained", "individual", "multi_task", "logit_ensemble"] as const;
export type Reference = (typeof REFERENCES)[number];

export type ChosenMethod =
  | { readonly kind: "reference"; readonly name: Reference }
  | {
      readonly kind: "merge";
      readonly name: string;
      readonly method: MergeMethod;
      /** Complete, with defaults. */
      readonly parameters: Readonly<Record<string, unknown>>;
    };

/**
 * The method called `name` with its settings checked and completed. Throws ConfigError with the nearest name for an unknown method or
 * setting, and with what was expected for a wrong value.
 */
export function chooseMethod(name: string, settings: Readonly<Record<string, unknown>> = {}): ChosenMethod {
  const reference = REFERENCES.find((candidate) => candidate === name);
  if (reference !== undefined) {
    const [extra] = Object.keys(settings);
    if (extra !== undefined) throw new ConfigError(`method ${name}: expected no settings, found ${extra}`);
    return { kind: "reference", name: reference };
  }
  const method = mergeMethods.get(name);
  if (method === undefined) throw unknownMethod(name);
  const parsed = method.parameters.safeParse(settings);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const key = issue.path.map(String).join(".");
      const [unknown = ""] = issue.code === "unrecognized_keys" ? issue.keys : [];
      const known = Object.keys(method.parameters.shape);
      const guess = unknown === "" ? undefined : nearest(unknown, known);
      const advice =
        unknown === ""
          ? ""
          : guess === undefined
            ? `; it has ${known.join(", ") || "none"}`
            : `; did you mean ${guess}?`;
      return `method ${name}: ${key === "" ? "" : `${key}: `}${explainIssue(issue, settings)}${advice}`;
    });
    throw new ConfigError(problems.join("\n"));
  }
  return { kind: "merge", name, method, parameters: parsed.data };
}

function unknownMethod(name: string): ConfigError {
  const known = [...REFERENCES, ...mergeMethods.keys()];
  const guess = nearest(name, known);
  const advice =
    guess === undefined
      ? `Known are ${known.join(", ")}`
      : `Did you mean ${guess}? \`adamerge methods\` lists them all`;
  return new ConfigError(`method: expected the name of a training-free method, found ${name}. ${advice}`);
}
