/** The registry of model families: those that come with the package, a folder and a line here each, and those that a program or a person's own module adds. */

import { anyLayout } from "../checkpoint/layout/common-names.js";
import type { TensorLayout } from "../checkpoint/layout/tensor-layout.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { noteExtension } from "../runtime/extensions.js";
import { nearest } from "../runtime/nearest.js";
import { quote } from "../runtime/printable.js";
import { bertFamily, distilbertFamily, robertaFamily } from "./bert/family.js";
import { checkedFamily } from "./checked-family.js";
import { clipFamily } from "./clip/family.js";
import type { ModelFamily } from "./family.js";
import { deitFamily, dinov2Family, vitFamily } from "./vit/family.js";

const families: readonly ModelFamily[] = [
  clipFamily,
  vitFamily,
  deitFamily,
  dinov2Family,
  bertFamily,
  robertaFamily,
  distilbertFamily,
];

/** A family that did not come with the package, as records of a run have it. */
export interface OutsideFamily {
  readonly name: string;
  /** The module that it is from, absolute, and the SHA-256 of that file (not of what it imports); absent where a program added it. */
  readonly path?: string;
  readonly sha256?: string;
}

/** For the whole process, as modules are: what is added stays. */
const outside: { readonly family: ModelFamily; readonly source: OutsideFamily }[] = [];

/** Adds a family to those whose models can be merged. Throws ConfigError for what is none, and for a name or model type that is taken. */
export function addFamily(family: ModelFamily): void {
  addOutsideFamily(family, "addFamily");
}

/** Adds what a module exports; `where` is the module in errors. Throws ConfigError as `addFamily`. */
export function addOutsideFamily(found: unknown, where: string): void {
  const family = checkedFamily(found, where);
  for (const other of allFamilies()) {
    if (other.name === family.name)
      throw new ConfigError(
        `${where}: name: expected one that no family has yet, found ${quote(family.name)}. Give the family another name`,
      );
    const taken = family.modelTypes.find((type) => other.modelTypes.includes(type));
    if (taken !== undefined)
      throw new ConfigError(
        `${where}: modelTypes: expected types that no family has yet, found ${quote(taken)}, which ${other.name} has. Give the model another model_type in its config.json`,
      );
  }
  const { module: file } = noteExtension("family", family.name);
  outside.push({ family, source: { name: family.name, ...file } });
}

/** What is known of the names of a model's tensors: its family's, or what all models have in common. */
export function layoutOf(config: unknown): TensorLayout {
  const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  return allFamilies().find(({ modelTypes }) => modelTypes.some((known) => known === type))?.layout ?? anyLayout;
}

function allFamilies(): readonly ModelFamily[] {
  return [...families, ...outside.map(({ family }) => family)];
}

/** What is recorded of the families that were added. */
export function outsideFamilies(): readonly OutsideFamily[] {
  return outside.map(({ source }) => source);
}

/** What is recorded of a model's family; undefined for one that comes with the package. Throws CheckpointError as `familyOf`. */
export function outsideFamilyOf(config: unknown, where: string): OutsideFamily | undefined {
  const family = familyOf(config, where);
  return outside.find((entry) => entry.family === family)?.source;
}

/**
 * The family of a model by the `model_type` of its config.json, which stands at `where`; the first one for files that do not say, as those of
 * open_clip. Throws CheckpointError for a type that no family has.
 */
export function familyOf(config: unknown, where: string): ModelFamily {
  const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  const [fallback = clipFamily] = families;
  if (typeof type !== "string") return fallback;
  const all = allFamilies();
  const found = all.find(({ modelTypes }) => modelTypes.includes(type));
  if (found !== undefined) return found;
  const known = all.flatMap(({ modelTypes }) => modelTypes);
  const close = nearest(type, known);
  throw new CheckpointError(
    `${where}: expected a model of one of the types ${known.join(", ")} (model_type of config.json), found ${quote(type)}${close === undefined ? "." : `; is ${close} meant?`} Coefficients are learned for these, and for a family of your own (--family FILE); \`adamerge merge\` with a merge file merges any model`,
  );
}
