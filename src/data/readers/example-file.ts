/** Examples that lie in files of their own, named by a folder or by a row of a manifest. */
import { DataError } from "../../errors.js";
import { readBytes } from "../../runtime/regular-file.js";
import type { ExampleKind } from "../kind.js";

/** Whether a file is an example by its name. */
export function isExampleName(name: string, { files }: ExampleKind): boolean {
  return files.hasExtension(/\.([^.]*)$/.exec(name)?.[1] ?? "");
}

/** Throws DataError that names the file for one that is missing, no regular one, or too large. */
export function readExampleFile(path: string, { some, files }: ExampleKind): Promise<Uint8Array> {
  return readBytes(path, some, files.maxBytes, DataError);
}
