/** Which images a configuration is judged on: `data.eval_split`, or with null, where nothing has labels, those it adapts on. */
import { ConfigError } from "../errors.js";
import type { RunConfig } from "./schema.js";

/** The split of the images that evaluations look at: by accuracy, or by entropy alone where `eval_split` is null. */
export function judgedSplit({ data }: Pick<RunConfig, "data">): string {
  return data.eval_split ?? data.adapt_split;
}

/** The split with labels, for `what` that compares accuracies. @throws ConfigError when it is null */
export function requireEvalSplit({ data }: Pick<RunConfig, "data">, what: string): string {
  if (data.eval_split !== null) return data.eval_split;
  throw new ConfigError(
    `data.eval_split: expected a split with labels, since ${what} compares accuracies, found null; name one (val, test)`,
  );
}
