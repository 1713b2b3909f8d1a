/** How splits may be called, and what they commonly are called. */
import { z } from "zod";

export const splitName = z.string().regex(/^\w[\w.-]*$/, "a split name of letters, digits, _, - and .");

/** Folders of these names are never classes: a mistyped split must not turn them into labels. */
export const SPLIT_NAMES: ReadonlySet<string> = new Set([
  "train",
  "training",
  "test",
  "testing",
  "val",
  "valid",
  "validation",
  "dev",
  "adapt",
]);
