/** What comes with the package, wherever it is installed: presets, experiments, the quickstart's configs, the command line itself. */
import path from "node:path";
import { fileURLToPath } from "node:url";

/** This file lies two folders below it, in the source tree as in `dist`. */
const root = fileURLToPath(new URL("../..", import.meta.url));

export const presetsFolder = path.join(root, "configs", "presets");
/** Of a suite that ships. */
export const quickstartConfig = (suite: string): string => path.join(root, "configs", `quickstart-${suite}.yaml`);
export const experimentsFolder = path.join(root, "experiments");
/** The command line as Node runs it, for machines that run a part of a sweep. */
export const commandLine = path.join(root, "dist", "cli", "main.js");
