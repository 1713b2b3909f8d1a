/** The first table: the baselines beside three fits of AdaMerging on the suite that ships with the project. */
import { join } from "node:path";
import { loadRunConfig } from "../config/load.js";
import type { RunConfig } from "../config/schema.js";
import type { TrainEvent } from "../optimize/events.js";
import type { ResultRow, Summary } from "../report/summary.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { requireResultsPlace } from "../runtime/output-place.js";
import { chooseMethod } from "./choose-method.js";
import { judgeMethod } from "./models.js";
import { type SessionOptions, withSession } from "./session.js";

export interface QuickstartOptions extends SessionOptions {
  /** The quickstart config file. */
  readonly configPath: string;
  readonly presetsDir: string;
  readonly cwd: string;
  /** Overrides of the config, such as another suite. */
  readonly overrides: readonly string[];
  /** Directory of all runs. */
  readonly output: string;
  readonly onEvent: (event: TrainEvent) => void;
}

/** `fit` of run.ts, passed in because that file is to the right of this folder. */
type Fit = (
  config: RunConfig,
  options: QuickstartOptions & { readonly overwrite: boolean; readonly baselines: boolean },
) => Promise<{ readonly table: readonly ResultRow[]; readonly reason: "finished" | "interrupted" }>;

const BASELINES = ["pretrained", "individual", "weight_averaging", "task_arithmetic"] as const;

/** Run name -> what it changes in the config. */
const FITS: ReadonlyMap<string, readonly string[]> = new Map([
  ["adamerging_task_wise", ["granularity=task-wise"]],
  ["adamerging_layer_wise", ["granularity=layer-wise"]],
  ["adamerging_layer_wise_pp", ["granularity=layer-wise", "task_vectors.processing=ties"]],
]);

/** Runs everything, each fit in `<output>/quickstart/<method>`, and writes `<output>/quickstart/summary.json`. */
export async function runQuickstart(options: QuickstartOptions, runFit: Fit): Promise<Summary> {
  const started = performance.now();
  const directory = join(options.output, "quickstart");
  await requireResultsPlace(directory, ["summary.json"], (name) => FITS.has(name));
  const configFor = async (name: string, overrides: readonly string[]): Promise<RunConfig> => {
    const all = [...options.overrides, ...overrides, "experiment=quickstart", `name=${name}`];
    const { config } = await loadRunConfig(options.configPath, all, options);
    return { ...config, output: options.output };
  };
  const { rows, suite, engine, device } = await baselines(await configFor("baselines", []), options);
  for (const [name, overrides] of FITS) {
    options.log(`\n${name}`);
    const { table, reason } = await runFit(await configFor(name, overrides), {
      ...options,
      overwrite: true,
      baselines: false,
    });
    if (reason === "interrupted") options.signal.throwIfAborted();
    rows.push(...table.filter((row) => row.method === name));
  }
  const summary: Summary = { suite, engine, device, seconds: (performance.now() - started) / 1000, rows };
  await writeFileAtomic(join(directory, "summary.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
  return summary;
}

async function baselines(config: RunConfig, options: QuickstartOptions) {
  return withSession(config, options, async ({ inputs, evaluation, engine }) => {
    const rows: ResultRow[] = [];
    for (const method of BASELINES) {
      options.log(`evaluating ${method}`);
      rows.push((await judgeMethod(config, inputs, chooseMethod(method), evaluation)).row);
    }
    return { rows, suite: inputs.suite.name, engine: engine.name, device: engine.device };
  });
}
