/** The experts of a suite, LoRA adapters of its base, merged with coefficients that a run learned and written as one adapter. */
import path from "node:path";
import { isAdapter } from "../../checkpoint/adapter/adapter.js";
import { parseUri } from "../../checkpoint/hub/reference.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import type { RunConfig } from "../../config/schema.js";
import { openSuite, type SuiteTask } from "../../data/suite.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import type { SummedAdapter } from "../../merge/summed-adapter.js";
import { openAdapter } from "../../model/open-models.js";
import { readCoefficients, requireCoefficients, requireOwnHeads } from "../../track/coefficients-file.js";
import { tensorCoefficients } from "../records/tensor-coefficients.js";
import { chosenTasks, loadInputs } from "../session/inputs.js";
import { coefficientsInputs, suiteInputs } from "../suite/suite-place.js";
import {
  type MergeAdapterOptions,
  type NamedSummand,
  OTHERWISE,
  requireAdapterPlace,
  saveMergedAdapter,
} from "./save-adapter.js";

/** Throws ConfigError for processed task vectors, CheckpointError for coefficients that do not fit and experts that are no adapters. */
export async function coefficientsToAdapter(
  config: RunConfig,
  coefficientsPath: string,
  options: MergeAdapterOptions & { readonly configPath?: string },
): Promise<SummedAdapter> {
  const inputs = [...(await suiteInputs(config, options)), ...(await coefficientsInputs(coefficientsPath))];
  await requireAdapterPlace(options, inputs);
  const { origin, processing } = config.task_vectors;
  if (origin !== "pretrained")
    throw new ConfigError(
      `task_vectors.origin: expected pretrained to save the merge as an adapter, found ${origin}, from which coefficients do not weigh the adapters. ${OTHERWISE}`,
    );
  if (processing !== "none")
    throw new ConfigError(
      `task_vectors.processing: expected none to save the merge as an adapter, found ${processing}, by which task vectors are no longer the adapters'. ${OTHERWISE}`,
    );
  const record = await readCoefficients(coefficientsPath);
  requireOwnHeads(record, coefficientsPath);
  requireCoefficients(record, coefficientsPath);
  await requireAdapters(config);
  const { bundle, grouping, base, tasks, named, model } = await loadInputs(config, options);
  const coefficientsNK = tensorCoefficients(record, { bundle, grouping }, coefficientsPath);
  const { names } = towerTensors(model.layout, base.tensors.keys(), base.path);
  const rows = new Map(grouping.tensors.map((tensor, row) => [names.get(tensor) ?? tensor, row]));
  const summands = await Promise.all(
    tasks.map(async (task): Promise<NamedSummand> => {
      const adapter = await openAdapter(task.expert, base);
      if (adapter === undefined) throw noAdapter(task);
      const at = bundle.tasks.indexOf(task.name);
      const weightOf = (name: string): number => {
        const row = rows.get(name);
        return row === undefined ? 0 : (coefficientsNK[row * bundle.tasks.length + at] ?? 0);
      };
      return { name: task.name, adapter, weightOf };
    }),
  );
  return saveMergedAdapter(
    {
      ...{ base, summands, baseName: parseUri(named.base)?.id ?? base.path },
      // peft's class of encoders takes what has lengths alone.
      taskType: model.lengths === undefined ? undefined : "FEATURE_EXTRACTION",
      how: `Coefficients that adamerge learned, ${record.granularity}: ${record.groups.length} for each of ${record.tasks.length} adapters.`,
    },
    options,
  );
}

/** Those on this machine, before anything long; others are looked at when they have come. */
async function requireAdapters(config: RunConfig): Promise<void> {
  const suite = await openSuite(config.suite);
  for (const task of chosenTasks(suite, "tasks", config.tasks) ?? suite.tasks)
    if (path.isAbsolute(task.expert) && !(await isAdapter(task.expert))) throw noAdapter(task);
}

function noAdapter({ name, expert }: SuiteTask): CheckpointError {
  return new CheckpointError(
    `${expert}: expected LoRA adapters as experts to save the merge as an adapter, found a model as that of task ${name}. ${OTHERWISE}.`,
  );
}
