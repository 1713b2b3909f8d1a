/** `quickstart` for programs: training-free and learned merges, on a suite that comes with the package. */
import { existsSync } from "node:fs";
import path from "node:path";
import { type QuickstartResult, quickstart as run } from "../run/fit/quickstart.js";
import { presetsFolder, quickstartConfig } from "./package-files.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export type { QuickstartResult } from "../run/fit/quickstart.js";

const DEFAULT_SUITE = "text8";

export interface QuickstartOptions extends WorkOptions {
  /** `text8` (the default), `mini8`, or a suite's folder, which is merged with text8's settings. */
  readonly suite?: string | undefined;
}

/**
 * Compares methods on a suite that ships: accuracies in percent on its test examples, with intervals. Writes `<output>/quickstart` (default output:
 * `runs`). Throws ConfigError for a suite that is not there; an abort rejects with the signal's reason.
 */
export function quickstart(options: QuickstartOptions = {}): Promise<QuickstartResult> {
  const { cwd, output = path.join(cwd, "runs"), ...work } = resolveWork(options);
  return run({ ...work, ...configOf(options.suite ?? DEFAULT_SUITE, cwd), presetsDir: presetsFolder, cwd, output });
}

/** The config of a suite that ships, or the default one's with another suite. */
function configOf(suite: string, cwd: string): { readonly configPath: string; readonly overrides: readonly string[] } {
  const isShipped = /^\w+$/.test(suite) && existsSync(quickstartConfig(suite));
  if (isShipped) return { configPath: quickstartConfig(suite), overrides: [] };
  return { configPath: quickstartConfig(DEFAULT_SUITE), overrides: [`suite=${path.resolve(cwd, suite)}`] };
}
