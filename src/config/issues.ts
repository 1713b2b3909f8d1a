/** Says a schema issue in our words: what was expected and what was found. The path is the caller's to add. */
import type { z } from "zod";
import { nearest } from "../runtime/nearest.js";

/** Long values are cut in messages: the reader needs to recognise the value, not to read it. */
const MAX_SHOWN_CHARACTERS = 80;

/** `expected ..., found ...` for one issue of a zod schema; `root` is the value that was validated. */
export function explainIssue(issue: z.core.$ZodIssue, root: unknown): string {
  const found = shown(valueAt(root, issue.path));
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeText(issue.expected)}, found ${found}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const guess = nearest(found, values);
      return `expected ${oneOf(values)}, found ${found}${guess === undefined ? "" : `; did you mean ${guess}?`}`;
    }
    case "too_small": {
      if (issue.origin === "array" || issue.origin === "string")
        return `expected at least ${issue.minimum} ${unit(issue.origin)}, found ${found}`;
      return `expected a number ${issue.inclusive ? ">=" : ">"} ${issue.minimum}, found ${found}`;
    }
    case "too_big": {
      if (issue.origin === "array" || issue.origin === "string")
        return `expected at most ${issue.maximum} ${unit(issue.origin)}, found ${found}`;
      return `expected a number ${issue.inclusive ? "<=" : "<"} ${issue.maximum}, found ${found}`;
    }
    case "invalid_format":
      return `expected ${issue.message}, found ${found}`;
    case "unrecognized_keys":
      return `unknown key ${issue.keys.map((key) => `\`${key}\``).join(", ")}`;
    default:
      return issue.message;
  }
}

function typeText(expected: string): string {
  if (expected === "int") return "a whole number";
  if (expected === "array") return "a list";
  if (expected === "object") return "a section of `key: value` lines";
  if (expected === "boolean") return "true or false";
  if (expected === "string") return "a text";
  return `a ${expected}`;
}

function unit(origin: string): string {
  return origin === "array" ? "entries" : "characters";
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? `${values[0]}` : `one of ${values.join(", ")}`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON turns these into null, which would hide the mistake.
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}...` : text;
}
