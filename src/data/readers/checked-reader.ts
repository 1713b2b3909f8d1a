/**
 * A reader of data sets from outside the package, which nothing has checked before: its fields are looked at here, and so is every data set that it
 * opens. What a reader is, dataset-reader.ts says.
 */
import { z } from "zod";
import { ConfigError, DataError } from "../../errors.js";
import type { Dataset, DatasetReader, ReadRequest } from "./dataset-reader.js";

const callable = z.custom((value) => typeof value === "function", "expected a function");

const readerShape = {
  name: z.string().regex(/^[a-z][a-z0-9_-]*$/, "expected small letters, digits, _ and -"),
  title: callable,
  layout: callable,
  parameters: callable,
  detect: callable,
  splits: callable,
  open: callable,
} satisfies Record<keyof DatasetReader, z.ZodType>;

const dataset = z.looseObject({
  kind: z.enum(["image", "text"]),
  name: z.string(),
  split: z.string(),
  size: z.int().min(1, "expected at least one example"),
  classes: z.array(z.string()).optional(),
  labels: z.instanceof(Int32Array).optional(),
  encoded: callable,
  second: callable.optional(),
  locate: callable,
});

/** The reader, which throws DataError for a data set that is none. Throws ConfigError for what is no reader. */
export function checkedReader(found: unknown): DatasetReader {
  const parsed = z.strictObject(readerShape).safeParse(found);
  if (!parsed.success)
    throw new ConfigError(`addReader: ${problemsOf(parsed.error, "reader")}. docs/library.md has an example`);
  // The boundary: its functions are what they say they are, or what they return is refused below.
  const own = found as DatasetReader;
  return { ...own, open: async (request) => requireDataset(own.name, request, await own.open(request)) };
}

function requireDataset(reader: string, { where, path, kind }: ReadRequest, opened: Dataset): Dataset {
  const parsed = dataset.safeParse(opened);
  if (!parsed.success)
    throw new DataError(`${where}: ${path}: reader ${reader}: ${problemsOf(parsed.error, "data set")}`);
  if (opened.kind !== kind.name)
    throw new DataError(`${where}: ${path}: reader ${reader}: kind: expected ${kind.name}, found ${opened.kind}`);
  const { size, labels } = opened;
  if (labels !== undefined && (labels.length !== size || labels.some((label) => label < 0)))
    throw new DataError(
      `${where}: ${path}: reader ${reader}: labels: expected ${size} class indices from 0, found ${labels.length}${labels.length === size ? ", some below 0" : ""}`,
    );
  return opened;
}

function problemsOf({ issues }: z.ZodError, whole: string): string {
  return issues.map(({ path, message }) => `${path.map(String).join(".") || whole}: ${message}`).join("; ");
}
