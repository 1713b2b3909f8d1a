/** What comes with the package, wherever it is installed: presets, experiments, the quickstart's configs, the command line itself. */
import path from "node:path";
import { PACKAGE } from "../config/shipped-files.js";

export const presetsFolder = path.join(PACKAGE, "configs", "presets");
/** Of a suite that ships. */
export const quickstartConfig = (suite: string): string => path.join(PACKAGE, "configs", `quickstart-${suite}.yaml`);
export const experimentsFolder = path.join(PACKAGE, "experiments");
/** The command line as Node runs it, for machines that run a part of a sweep. */
export const commandLine = path.join(PACKAGE, "dist", "cli", "main.js");
