/**
 * What programs add to adamerge: families of models (`addFamily`), training-free methods, objectives, readers of data sets. By a call, or in a module
 * that `loadExtension` (and `--family` of the command line) loads, which the processes of sweeps and tables then load too.
 */
import path from "node:path";
import { addDatasetReader } from "../data/dataset.js";
import type { DatasetReader } from "../data/readers/dataset-reader.js";
import { ConfigError } from "../errors.js";
import type { MergeMethod } from "../merge/methods/method.js";
import { addMergeMethod } from "../merge/methods/registry.js";
import { addFamilyModules, familyModules } from "../model/family-modules.js";
import { REFERENCES } from "../run/judge/choose-method.js";
import { workingDirectory } from "./surroundings.js";

/**
 * Adds a training-free method, as `defineMethod` makes it, for `evaluate`, `mergeTensors`, merge files and experiments. Throws ConfigError for what is
 * none, and for a name that is taken.
 */
export function addMethod(method: MergeMethod): void {
  const taken = REFERENCES.find((name) => name === method.name);
  if (taken !== undefined)
    throw new ConfigError(
      `addMethod: name: expected one that no model has yet, found ${taken}, which is what evaluations call a model that is there already. Give the method another name`,
    );
  addMergeMethod(method);
}

/** Adds a reader of data sets; it is asked before those of the package. Throws ConfigError for what is none, and for a name that is taken. */
export function addReader(reader: DatasetReader): void {
  addDatasetReader(reader);
}

/**
 * Runs a module, which exports a family or calls `addMethod` and the like. It runs with the rights of the program. Throws ConfigError for one that is
 * missing, does not load or adds nothing; one that is loaded already is passed over.
 */
export function loadExtension(file: string, { cwd = "" }: { readonly cwd?: string } = {}): Promise<void> {
  return addFamilyModules([path.resolve(workingDirectory(), cwd, file)]);
}

/** Absolute paths of the modules that have been loaded, for processes that need the same. */
export function loadedExtensions(): readonly string[] {
  return familyModules();
}
