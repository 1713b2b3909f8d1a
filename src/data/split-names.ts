/** What splits are commonly called. Folders of these names are never classes: a mistyped split must not turn them into labels. */
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
