/** What a server is told of a fit. */
import { configKeys } from "../../config/keys.js";
import type { RunConfig } from "../../config/schema.js";
import { readsLabels } from "../../objective/catalog.js";
import type { FitRun } from "../read-run.js";
import type { MlflowText } from "./client.js";
import { adaptationOf, descriptionOf } from "./description.js";
import { baselineMetrics, comparisonMetrics, readResults } from "./results.js";
import { metricName, paramsOf } from "./run-data.js";
import type { ToldKind } from "./told-run.js";

/** Throws ConfigError for a summary that is damaged. */
export async function toldFit(
  folder: string,
  { config, status }: FitRun,
  environment: Readonly<Record<string, unknown>>,
): Promise<ToldKind> {
  const results = await readResults(folder);
  const { experiment, name, log_model, register_model, data } = config;
  const split = data.eval_split ?? data.adapt_split;
  return {
    ...{ experiment, name },
    params: paramsOf(config, configKeys),
    tags: tagsOf(config, environment),
    description: descriptionOf({ config, status, environment, results }),
    results:
      results &&
      ((at) => {
        const model = comparisonMetrics(results, at);
        const time = { key: "time/seconds", value: results.seconds, ...at };
        return { run: [...baselineMetrics(results, at), ...model, time], model };
      }),
    isMeasuredOn: (metric, dataset) => metric.endsWith(`/${metricName(dataset.slice(0, -split.length - 1))}`),
    model: { type: "merged encoder", isWanted: log_model, register: register_model },
  };
}

/** Split honesty: which examples and labels the coefficients have seen. */
function tagsOf(config: RunConfig, environment: Readonly<Record<string, unknown>>): MlflowText[] {
  const { adapt_split, eval_split } = config.data;
  return [
    { key: "adamerge.adaptation", value: adaptationOf(config, environment) },
    { key: "adamerge.labels", value: readsLabels(config) ? "labels of adapt_split" : "none" },
    { key: "adamerge.adapt_split", value: adapt_split },
    { key: "adamerge.eval_split", value: eval_split ?? "none" },
  ];
}
