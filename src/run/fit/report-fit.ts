/** The report at the end of a fit. What it is made from is on the disk by then, so a report that fails costs only itself. */
import path from "node:path";
import type { RunConfig } from "../../config/schema.js";
import { taskVectorGeometry } from "../../merge/task-vector-geometry.js";
import { EXAMPLES_FILE } from "../../report/changed-examples.js";
import { GEOMETRY_FILE } from "../../report/run-report.js";
import { writeRunReport } from "../../report/write-report.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { changedExamples } from "../judge/gained-and-lost.js";
import type { Judged } from "../judge/judge-models.js";
import type { Inputs } from "../session/inputs.js";

/** Measures the task vectors, looks at what was gained and lost, and writes report.html; a failure is told to `log`. */
export async function reportFit(
  folder: string,
  config: RunConfig,
  inputs: Inputs,
  judged: readonly Judged[],
  log: (line: string) => void,
): Promise<void> {
  const keep = (name: string, value: unknown) =>
    writeFileAtomic(path.join(folder, name), `${JSON.stringify(value, undefined, 1)}\n`);
  try {
    await keep(GEOMETRY_FILE, await taskVectorGeometry(inputs.bundle));
    const changed = await changedExamples(config, inputs, judged);
    if (changed !== undefined) await keep(EXAMPLES_FILE, changed);
    log(`report: ${await writeRunReport(folder)}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log(
      `${folder}: the run is complete, its report could not be written: ${reason}. Try \`adamerge report ${folder}\``,
    );
  }
}
