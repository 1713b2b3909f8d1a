/** Where results of work on a suite may go: apart from all that the suite names, from the caches, and from what else the command reads. */
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Hub } from "../../checkpoint/hub/request.js";
import type { RunConfig } from "../../config/schema.js";
import { openSuite } from "../../data/suite.js";
import type { Input } from "../../runtime/output-place.js";
import { cacheInputs } from "./cache-inputs.js";

export interface SuitePlaceOptions {
  readonly cacheDir?: string | undefined;
  readonly hub?: Pick<Hub, "cacheDir"> | undefined;
  /** The file of the config, where it came from one. */
  readonly configPath?: string | undefined;
}

/** All that work on the suite of `config` reads from this machine; its models and data sets are looked for, not opened. */
export async function suiteInputs(config: RunConfig, options: SuitePlaceOptions): Promise<Input[]> {
  const suite = await openSuite(config.suite);
  const optional = (what: string, place: string | undefined): Input[] =>
    place === undefined ? [] : [{ path: place, what }];
  const all = [
    { path: suite.path, what: "the suite" },
    ...suite.definitions.map((file) => ({ path: file, what: "the definition of a task" })),
    { path: suite.base, what: "the base" },
    ...optional("the multitask model", suite.multitask),
    ...optional("the text model", suite.textModel),
    ...suite.tasks.flatMap(({ name, expert, dataset, head }) => [
      { path: expert, what: `the expert of ${name}` },
      { path: dataset, what: `the data set of ${name}` },
      ...optional(`the head of ${name}`, typeof head === "string" ? head : undefined),
    ]),
    ...optional("the config", options.configPath),
    ...cacheInputs(options),
  ];
  // Places on the hub are in its cache.
  return all.filter(({ path: place }) => path.isAbsolute(place));
}

/** A file of coefficients, and the run that it belongs to. */
export async function coefficientsInputs(file: string): Promise<Input[]> {
  const folder = path.dirname(file);
  const isRun = await stat(path.join(folder, "status.json")).then(
    (found) => found.isFile(),
    () => false,
  );
  return [
    { path: file, what: "the file of coefficients" },
    ...(isRun ? [{ path: folder, what: "the run of these coefficients" }] : []),
  ];
}
