/** Mistakes in a suite.yaml or a task's definition, each with its line and key and what to do. */
import type { z } from "zod";
import { explainIssue } from "../config/issues.js";
import type { LocatedYaml } from "../config/strict-yaml.js";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { prototypesSchema, zeroShotSchema } from "./head-recipes.js";
import { datasetKeys, featuresSchema, partKeys, splitsSchema, taskSchema } from "./suite-schema.js";

/** The file as its schema has it. Throws ConfigError with every mistake. */
export function checkedYaml<Schema extends z.ZodObject>(schema: Schema, yaml: LocatedYaml): z.output<Schema> {
  const parsed = schema.safeParse(yaml.value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap(insideSection).map((issue) => explainAt(issue, yaml, schema));
  throw new ConfigError(problems.join("\n"));
}

/** The mistakes inside a section, where only one of the forms that a key may have is a section or fits its keys; else the issue itself. */
function insideSection(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const sections = issue.errors.filter((issues) => !issues.some(isOfAnotherKind));
  const fitting = sections.length === 1 ? sections : sections.filter((issues) => issues.every(isInside));
  const [inside] = fitting;
  if (inside === undefined || fitting.length > 1) return [issue];
  return inside.flatMap((each) => insideSection({ ...each, path: [...issue.path, ...each.path] }));
}

/** A text in the place of a section, or the other way round. */
function isOfAnotherKind({ code, path }: z.core.$ZodIssue): boolean {
  return code === "invalid_type" && path.length === 0;
}

function isInside({ code, path }: z.core.$ZodIssue): boolean {
  return path.length + (code === "unrecognized_keys" ? 1 : 0) > 1;
}

function explainAt(issue: z.core.$ZodIssue, yaml: LocatedYaml, schema: z.ZodObject): string {
  const key = issue.path.map(String).join(".");
  const isClass = issue.code === "invalid_type" && issue.path.at(-2) === "classes";
  const advice = isClass ? '; write it in quotes, as in "0"' : unknownKeyAdvice(issue, schema);
  // The line of an unknown key is that of the key itself, which is not in the path.
  const place = issue.code === "unrecognized_keys" ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
  return `${yaml.locate(place)}: ${key === "" ? "" : `${key}: `}${explainIssue(issue, yaml.value)}${advice}`;
}

function unknownKeyAdvice(issue: z.core.$ZodIssue, schema: z.ZodObject): string {
  if (issue.code !== "unrecognized_keys") return "";
  const known = knownKeys(issue.path, schema);
  const guess = nearest(issue.keys[0] ?? "", known);
  return guess === undefined ? `; known here: ${known.join(", ")}` : `; did you mean \`${guess}\`?`;
}

function knownKeys(path: readonly PropertyKey[], schema: z.ZodObject): readonly string[] {
  const last = path.at(-1);
  if (last === "prototypes") return Object.keys(prototypesSchema.shape);
  if (last === "zero_shot") return Object.keys(zeroShotSchema.shape);
  if (last === "dataset") return datasetKeys;
  if (path.at(-2) === "splits") return partKeys;
  if (path[0] === "features") return Object.keys(featuresSchema.shape);
  if (path[0] === "tasks") return Object.keys(taskSchema.shape);
  return Object.keys(path[0] === "splits" ? splitsSchema.shape : schema.shape);
}
