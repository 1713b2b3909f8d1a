/**
 * Coefficients as a merge file that mergekit and `adamerge merge` read: task arithmetic with a weight for every tensor, told by filters on names. mergekit takes the first
 * filter that is part of a tensor's name; whole names are part of no other's.
 */
import { stringify } from "yaml";
import type { CoefficientsRecord } from "../coefficients-file.js";

export interface MergekitModels {
  /** Paths or hub ids. */
  readonly base: string;
  /** In the order of the record's tasks. */
  readonly experts: readonly string[];
}

/** `tensors` are those that are merged; all others stay the base's. */
export function mergekitText(
  record: CoefficientsRecord,
  { base, experts }: MergekitModels,
  tensors: readonly string[],
): string {
  const lambdaOf = (task: number, tensor: string): number => {
    const group = record.groups.length === 1 ? 0 : record.groups.indexOf(record.groupOf[tensor] ?? "");
    return record.values[task]?.[group] ?? 0;
  };
  const models = experts.map((model, task) => ({
    model,
    parameters: {
      weight: [...tensors.map((tensor) => ({ filter: tensor, value: lambdaOf(task, tensor) })), { value: 0 }],
    },
  }));
  const file = {
    merge_method: "task_arithmetic",
    base_model: base,
    models,
    parameters: { normalize: false },
    dtype: "float32",
  };
  return `# Learned by adamerge, ${record.granularity}; tasks in this order: ${record.tasks.join(", ")}\n${stringify(file, { lineWidth: 0 })}`;
}
