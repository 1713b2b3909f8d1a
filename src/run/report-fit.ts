/** The report at the end of a fit. What it is made from is on the disk by then, so a report that fails costs only itself. */
import path from "node:path";
import { taskVectorGeometry } from "../merge/task-vector-geometry.js";
import { GEOMETRY_FILE } from "../report/run-report.js";
import { writeRunReport } from "../report/write-report.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import type { Inputs } from "./inputs.js";

/** Measures the task vectors and writes report.html; a failure is told to `log`. */
export async function reportFit(folder: string, { bundle }: Inputs, log: (line: string) => void): Promise<void> {
  try {
    const geometry = await taskVectorGeometry(bundle);
    await writeFileAtomic(path.join(folder, GEOMETRY_FILE), `${JSON.stringify(geometry, undefined, 1)}\n`);
    log(`report: ${await writeRunReport(folder)}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log(
      `${folder}: the run is complete, its report could not be written: ${reason}. Try \`adamerge report ${folder}\``,
    );
  }
}
