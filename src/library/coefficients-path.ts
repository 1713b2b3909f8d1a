/** Finds the coefficients a person points at: a coefficients.json, or a run folder that holds one. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../errors.js";

/** Absolute path of the file. @throws CheckpointError when there is none */
export async function coefficientsPath(given: string, cwd: string): Promise<string> {
  const absolute = path.resolve(cwd, given);
  const kind = await stat(absolute).catch(() => undefined);
  const file = kind?.isDirectory() ? path.join(absolute, "coefficients.json") : absolute;
  if ((await stat(file).catch(() => undefined))?.isFile()) return file;
  throw new CheckpointError(
    `${given}: expected a coefficients.json or the folder of a run that has one, found ` +
      `${kind === undefined ? "nothing" : "a folder without"}. \`adamerge fit\` writes them into runs/EXPERIMENT/NAME`,
  );
}
