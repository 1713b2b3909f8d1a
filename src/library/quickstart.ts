/** `quickstart` for programs: baselines beside three fits on the suite that comes with the package. */
import path from "node:path";
import type { Summary } from "../report/summary.js";
import { quickstart as run } from "../run.js";
import { presetsFolder, quickstartConfig } from "./package-files.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface QuickstartOptions extends WorkOptions {
  /** Default: the suite of the package. */
  readonly suite?: string | undefined;
}

/** Writes `<output>/quickstart` (default output: `runs`). An abort rejects with the signal's reason. */
export function quickstart(options: QuickstartOptions = {}): Promise<Summary> {
  const { cwd, output = path.join(cwd, "runs"), ...work } = resolveWork(options);
  const overrides = options.suite === undefined ? [] : [`suite=${path.resolve(cwd, options.suite)}`];
  return run({ ...work, configPath: quickstartConfig, presetsDir: presetsFolder, cwd, output, overrides });
}
