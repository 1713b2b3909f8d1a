/** `openSuite` and `pull` for programs: what a suite is, and what it needs of the Hugging Face hub. */
import path from "node:path";
import { fetchPlanned } from "../checkpoint/hub/fetch-planned.js";
import { suitePath } from "../config/shipped-files.js";
import { openSuite as open, type Suite } from "../data/suite.js";
import { chosenTasks } from "../run/session/inputs.js";
import { type PlannedRepository, plannedRepository, planSuite } from "../run/suite/suite-sources.js";
import { workingDirectory } from "./surroundings.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

/** Reads a suite and checks that what it names is there. Throws ConfigError and DataError with every mistake. */
export async function openSuite(suite: string, { cwd = "" }: { readonly cwd?: string } = {}): Promise<Suite> {
  return open(await suitePath(suite, path.resolve(workingDirectory(), cwd)));
}

export interface PullOptions extends WorkOptions {
  /** Only these tasks; default: all. */
  readonly tasks?: readonly string[] | undefined;
  /** Only these splits; default: the suite's adapt, val and test. */
  readonly splits?: readonly string[] | undefined;
  /** Ask the hub where branches are now; default: false. */
  readonly update?: boolean | undefined;
  /** Say what would be downloaded, and download nothing; default: false. */
  readonly dryRun?: boolean | undefined;
  /** Is told what is downloaded, before it is; default: nobody. */
  readonly onPlan?: ((repositories: readonly PlannedRepository[]) => void) | undefined;
}

/** Downloads a suite's models and data sets into the hub's cache; none for a suite of paths. Throws HubError. */
export async function pull(suite: string, options: PullOptions = {}): Promise<readonly PlannedRepository[]> {
  const work = resolveWork(options);
  const { hub, cwd, optionName } = work;
  const { tasks = null, splits, update = false, dryRun = false } = options;
  const opened = await openSuite(suite, { cwd });
  const part = {
    tasks: chosenTasks(opened, optionName("tasks"), tasks) ?? opened.tasks,
    splits: splits ?? [...new Set(Object.values(opened.splits))],
  };
  const plans = await planSuite(hub, opened, part, { update });
  const planned = plans.map(plannedRepository);
  options.onPlan?.(planned);
  if (!dryRun) await fetchPlanned(hub, plans);
  return planned;
}
