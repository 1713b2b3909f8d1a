/** From the coefficients that a run learned, by names, back to those of each tensor. N tensors, K tasks. */
import { CheckpointError } from "../../errors.js";
import { type CoefficientsRecord, requireCoefficients } from "../../track/coefficients-file.js";
import type { Inputs } from "../session/inputs.js";

/**
 * One coefficient per tensor and task [N, K] from a file, matched by names: groups through its `groupOf`, or through the
 * config's own grouping when the file has none. Throws CheckpointError naming the task or group that does not fit.
 */
export function tensorCoefficients(
  record: CoefficientsRecord,
  inputs: Pick<Inputs, "bundle" | "grouping">,
  path: string,
): Float32Array {
  requireCoefficients(record, path);
  const { tasks } = inputs.bundle;
  const { tensors, groups, groupOf } = inputs.grouping;
  const rows = tasks.map((task) => {
    const row = record.values[record.tasks.indexOf(task)];
    if (row === undefined) {
      throw new CheckpointError(
        `${path}: tasks: expected coefficients for ${tasks.join(", ")}, found ${record.tasks.join(", ")}; merge with the tasks they were learned on`,
      );
    }
    return row;
  });
  if (record.tasks.length !== tasks.length) {
    throw new CheckpointError(
      `${path}: tasks: expected exactly ${tasks.join(", ")}, found ${record.tasks.join(", ")}; set tasks= to those of the file`,
    );
  }
  const fileGroups = new Map(Object.entries(record.groupOf));
  const values = new Float32Array(tensors.length * tasks.length);
  tensors.forEach((tensor, row) => {
    const group = fileGroups.get(tensor) ?? groups[groupOf[row] ?? 0] ?? "";
    const column = record.groups.indexOf(group);
    if (column < 0) {
      throw new CheckpointError(
        `${path}: groups: no coefficient for tensor ${tensor} (group ${group}); use the granularity that the file was learned with (${record.granularity})`,
      );
    }
    rows.forEach((taskRow, task) => {
      values[row * tasks.length + task] = taskRow[column] ?? 0;
    });
  });
  return values;
}
