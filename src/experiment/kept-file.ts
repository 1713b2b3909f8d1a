/** Files that keep what was computed: one that is damaged is as good as none, but nobody should wonder why it is computed again. */
import { UserError } from "../errors.js";
import { type JsonKind, readJsonFileIfThere } from "../runtime/json-file.js";

/** What the file keeps; undefined when it is missing or, told to `log`, damaged. */
export async function readKept<T>(
  path: string,
  kind: Pick<JsonKind<T>, "what" | "schema">,
  log: (line: string) => void,
): Promise<T | undefined> {
  try {
    return await readJsonFileIfThere(path, { ...kind, advice: "it is computed again" });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`warning: ${error.message}`);
    return undefined;
  }
}
