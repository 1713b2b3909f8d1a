/** The runs that a person points at: a run's folder, or folders that hold some. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";

/** The folder itself when it is a run, else the runs below it, in the order of their names. */
export async function runFolders(folder: string): Promise<string[]> {
  const isRun = async (at: string) =>
    (
      await Promise.all(["config.yaml", "status.json"].map((name) => stat(path.join(at, name)).catch(() => undefined)))
    ).every((found) => found?.isFile());
  if (await isRun(folder)) return [folder];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(folder, entry.name))
    .sort();
  return (await Promise.all(below.map(runFolders))).flat();
}
