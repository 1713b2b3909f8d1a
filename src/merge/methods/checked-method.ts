/**
 * A method from outside the package, which nothing has checked before: its fields are looked at here, and so is every piece that it merges. What a
 * method is, method.ts says.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import type { MergeMethod, Piece } from "./method.js";

const text = z.string().min(1, "expected a text, found an empty one");
const callable = z.custom((value) => typeof value === "function", "expected a function");
const absent = z.literal(true).optional();

const shape = {
  name: z.string().regex(/^[a-z][a-z0-9_]*$/, "expected small letters, digits and _"),
  title: text,
  paper: z.string(),
  // Of any copy of zod: a program may have another version than this package.
  parameters: z.custom<z.ZodObject>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      "safeParse" in value &&
      typeof value.safeParse === "function" &&
      "shape" in value &&
      typeof value.shape === "object",
    "expected a z.strictObject of settings",
  ),
  unit: z.enum(["element", "tensor"]),
  perTask: absent,
  needsImages: absent,
  extraBytes: callable.optional(),
  weights: callable.optional(),
  prepare: callable,
} satisfies Record<keyof MergeMethod, z.ZodType>;

const method = z.strictObject(shape);

/** The method, which throws ConfigError for a merged piece that is none. Throws ConfigError for what is no method. */
export function checkedMethod(found: unknown): MergeMethod {
  const parsed = method.safeParse(found);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `${path.map(String).join(".") || "method"}: ${message}`,
    );
    throw new ConfigError(
      `addMethod: ${problems.join("; ")}. Make the method with defineMethod; docs/library.md has an example`,
    );
  }
  // The boundary: its functions are what they say they are, or what they return is refused below.
  const own = found as MergeMethod;
  return {
    ...own,
    prepare: async (context, parameters) => {
      const merge = await own.prepare(context, parameters);
      if (typeof merge !== "function")
        throw new ConfigError(
          `method ${own.name}: prepare: expected a function that merges a piece, found ${typeof merge}`,
        );
      return async (piece, task) => requireMerged(own.name, piece, await merge(piece, task));
    },
  };
}

function requireMerged(name: string, { tensor, baseN }: Piece, merged: unknown): Float32Array {
  if (merged instanceof Float32Array && merged.length === baseN.length) return merged;
  const found = merged instanceof Float32Array ? `${merged.length}` : typeof merged;
  throw new ConfigError(
    `method ${name}: tensor ${tensor.name}: expected a Float32Array of ${baseN.length} merged values, found ${found}`,
  );
}
