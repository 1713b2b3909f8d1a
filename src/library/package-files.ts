/** What comes with the package, wherever it is installed: presets, experiments, the quickstart's config, the command line itself. */
import path from "node:path";
import { fileURLToPath } from "node:url";

/** This file lies two folders below it, in the source tree as in `dist`. */
const root = fileURLToPath(new URL("../..", import.meta.url));

export const presetsFolder = path.join(root, "configs", "presets");
export const quickstartConfig = path.join(root, "configs", "quickstart.yaml");
export const experimentsFolder = path.join(root, "experiments");
/** The command line as Node runs it, for machines that run a part of a sweep. */
export const commandLine = path.join(root, "dist", "cli", "main.js");
