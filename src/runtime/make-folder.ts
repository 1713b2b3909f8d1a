/**
 * Makes a folder and the folders it lies in. As `mkdir` of node:fs with `recursive`, which never comes back where the system says that a new
 * folder's parent is missing though it is there: below /proc, and below folders of an automounter such as /home on clusters.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { systemCode } from "./system-error.js";

/** Throws what the system says, of the folder that cannot be made. */
export async function makeFolder(path: string): Promise<void> {
  const folder = resolve(path);
  try {
    await mkdir(folder);
  } catch (error) {
    if (await isFolder(folder)) return;
    if (systemCode(error) !== "ENOENT" || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    // Once more and no oftener. Another process may have made it, or its parent, meanwhile.
    await mkdir(folder).catch(async (again: unknown) => {
      if (!(await isFolder(folder))) throw again;
    });
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}
