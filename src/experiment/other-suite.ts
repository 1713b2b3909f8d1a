/** An experiment on a suite in the place of its own: the same tasks from elsewhere, such as directories on a machine without a network. */
import { openSuite } from "../data/suite.js";
import { ConfigError } from "../errors.js";
import type { Experiment } from "./experiment-file.js";

/** All rows on `suite` (absolute path). Throws ConfigError when its tasks are not those of every suite that it replaces. */
export async function onSuite(experiment: Experiment, suite: string): Promise<Experiment> {
  const replaced = new Set([...experiment.suites, ...experiment.rows.flatMap((row) => row.suites ?? [])]);
  const given = await taskNames(suite);
  for (const own of replaced) {
    const names = await taskNames(own);
    const absent = names.filter((name) => !given.includes(name));
    const other = given.filter((name) => !names.includes(name));
    if (absent.length + other.length === 0) continue;
    const found = [
      ...(absent.length > 0 ? [`none called ${absent.join(", ")}`] : []),
      ...(other.length > 0 ? [`${other.join(", ")} beside them`] : []),
    ];
    throw new ConfigError(
      `--suite ${suite}: expected the tasks of ${own} (${names.join(", ")}), found ${found.join(" and ")}; give a suite with tasks of the same names, and only these`,
    );
  }
  return { ...experiment, suites: [suite], rows: experiment.rows.map((row) => ({ ...row, suites: undefined })) };
}

async function taskNames(suite: string): Promise<readonly string[]> {
  return (await openSuite(suite)).tasks.map(({ name }) => name);
}
