/** Whether anything lies at a path: the one answer for files that may be missing. What else may be wrong with it is said by whoever opens it. */
import { stat } from "node:fs/promises";
import { systemCode } from "./system-error.js";

/** False only where there is nothing: also for a link to nothing, and below a file. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}
