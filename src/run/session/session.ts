/** What fits and evaluations share: the engine, the inputs, the labelled examples and the compiled classifier. */
import type { Hub } from "../../checkpoint/hub/request.js";
import type { RunConfig } from "../../config/schema.js";
import type { ExampleStore } from "../../data/examples.js";
import { createEngine } from "../../engine/create-engine.js";
import type { Engine } from "../../engine/program.js";
import { type Classifier, createClassifier } from "../../optimize/evaluate.js";
import { createModelProbe } from "../../optimize/model-probe.js";
import { asPiece, type OnProgress } from "../../runtime/progress.js";
import { together } from "../../runtime/together.js";
import type { ComparedModels } from "./compared-models.js";
import type { EvaluateOptions } from "./evaluate-options.js";
import { type Inputs, loadInputs, loadLabelled, loadUnlabelled } from "./inputs.js";

export interface SessionOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Is told what goes on behind that; default: nobody. */
  readonly detail?: (line: string) => void;
  readonly onProgress?: OnProgress;
  /** For suites that name repositories on the hub. */
  readonly hub?: Hub;
  /** Called when the models have been compared, before anything long. */
  readonly onCompared?: (models: ComparedModels) => Promise<void>;
  /** Whether a merged model will be saved. */
  readonly isSaved?: boolean;
}

export interface Session {
  readonly engine: Engine;
  readonly inputs: Inputs;
  readonly evaluation: EvaluateOptions;
}

/** By task. */
type Examples = ReadonlyMap<string, ExampleStore>;

/** Opens a session, gives it to `work` and closes it whatever happens. */
export async function withSession<T>(
  config: RunConfig,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const inputs = await loadInputs(config, options);
  const { engine, reason } = await createEngine(config);
  options.detail?.(`engine: ${reason}`);
  try {
    // The engine compiles in a thread of its own while examples are read.
    const heads = [...new Map([...inputs.heads, ...inputs.judgedHeads].map((head) => [head.task, head])).values()];
    const classifierOptions = { model: inputs.model, heads, batchSize: evaluationBatch(config.data) };
    const compiled = () =>
      asPiece(options.onProgress, "compiling the model", () => createClassifier(engine, classifierOptions));
    const read = (stop: AbortSignal) =>
      asPiece(options.onProgress, "reading the examples", () => judgedExamples(config, inputs, options.cacheDir, stop));
    const [classifier, examples] = await together<[Classifier, Examples]>([compiled, read], options.signal);
    let unlabelled: ReturnType<typeof loadUnlabelled> | undefined;
    const probe = createModelProbe(engine, {
      model: inputs.model,
      heads: inputs.heads,
      classifier,
      stores: () => {
        unlabelled ??= loadUnlabelled(inputs, config.data.adapt_split, options.cacheDir, options.signal);
        return unlabelled;
      },
      seed: config.seed,
      signal: options.signal,
    });
    const limit = config.data.eval_limit ?? undefined;
    const { onProgress, signal } = options;
    const evaluation = { classifier, examples, limit, probe, onProgress, signal };
    const result = await work({ engine, inputs, evaluation });
    await classifier.close();
    return result;
  } finally {
    await engine.close();
  }
}

/** Examples per batch of an evaluation: no more than are judged of a task, since every batch is filled up to this size. */
export function evaluationBatch({ eval_batch_size, eval_limit }: RunConfig["data"]): number {
  return Math.min(eval_batch_size, eval_limit ?? eval_batch_size);
}

/** What evaluations look at: the judged tasks' labelled examples or, without an eval_split, the examples that are adapted on. */
function judgedExamples(config: RunConfig, inputs: Inputs, cacheDir: string, stop: AbortSignal): Promise<Examples> {
  const { adapt_split, eval_split } = config.data;
  if (eval_split === null) return loadUnlabelled(inputs, adapt_split, cacheDir, stop);
  return loadLabelled(inputs, inputs.judged, eval_split, cacheDir, stop);
}
