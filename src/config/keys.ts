/**
 * The keys of a run configuration as data, derived from the schema: which exist, which are sections, and
 * what each says about itself. Loading, `config show` and the errors about unknown keys read this.
 */
import { z } from "zod";
import { nearest } from "../runtime/nearest.js";
import { runConfigSchema } from "./schema.js";

export interface ConfigKey {
  /** Dotted path, e.g. `optimizer.learning_rate`. */
  readonly path: string;
  /** A section holds other keys; the rest hold a value. */
  readonly isSection: boolean;
  /** The value is a text: an override's right-hand side is taken as it is, so that `name=7` names a run. */
  readonly isText: boolean;
  readonly description: string;
}

/** The JSON Schema (draft 2020-12) of what a config file may contain, for editors; includes `extends`. */
export function configJsonSchema(): z.core.JSONSchema.JSONSchema {
  const schema = z.toJSONSchema(runConfigSchema, { io: "input" });
  const extendsKey: z.core.JSONSchema.JSONSchema = {
    description: "Presets (presets/paper) or relative paths whose settings this file starts from; later ones win",
    anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
  };
  // The suite may come from a file that is extended or from an override, so no single file must have it.
  const { required: _, ...optional } = schema;
  return { ...optional, properties: { extends: extendsKey, ...schema.properties } };
}

/** Every key of a schema in its order, sections before what they hold. */
export function keysOf(schema: z.ZodType): ReadonlyMap<string, ConfigKey> {
  return collectKeys(z.toJSONSchema(schema, { io: "input" }));
}

/** Those of a run. */
export const configKeys: ReadonlyMap<string, ConfigKey> = keysOf(runConfigSchema);

function collectKeys(
  schema: z.core.JSONSchema.JSONSchema,
  prefix = "",
  keys = new Map<string, ConfigKey>(),
): Map<string, ConfigKey> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (typeof property === "boolean") continue;
    const path = prefix + name;
    const isSection = property.properties !== undefined;
    keys.set(path, { path, isSection, isText: property.type === "string", description: property.description ?? "" });
    if (isSection) collectKeys(property, `${path}.`, keys);
  }
  return keys;
}

/** `unknown key ...` with the nearest key: among its siblings first, then anywhere. */
export function unknownKeyText(path: string, keys: ReadonlyMap<string, ConfigKey> = configKeys): string {
  const cut = path.lastIndexOf(".") + 1;
  const [parent, name] = [path.slice(0, cut), path.slice(cut)];
  const siblings = [...keys.keys()].filter((key) => key.startsWith(parent) && !key.slice(cut).includes("."));
  const guess = nearest(name, siblings) ?? nearest(path, keys.keys()) ?? nearest(name, keys.keys());
  if (guess !== undefined) return `unknown key \`${path}\`; did you mean \`${guess}\`?`;
  if (siblings.length > 0)
    return `unknown key \`${path}\`; known here: ${siblings.map((key) => key.slice(cut)).join(", ")}`;
  if (keys === configKeys) return `unknown key \`${path}\`; \`adamerge config show CONFIG\` lists all keys`;
  const all = [...keys.values()].filter(({ isSection }) => !isSection).map((key) => key.path);
  return `unknown key \`${path}\`; known: ${all.join(", ")}`;
}
