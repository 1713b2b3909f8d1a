/**
 * A fit from beginning to end, as the method section of the paper has it: load the base, the task vectors and the
 * heads (frozen, unless they are learned too); learn the coefficients by minimising the objective on unlabelled examples; merge; judge. AdaMerging, Yang et al.
 * 2024, arXiv:2310.02575. Read it first.
 */
import type { RunConfig } from "../../config/schema.js";
import type { TrainEvent } from "../../optimize/events.js";
import type { LearnedGain } from "../../report/learned-gain.js";
import type { ResultRow } from "../../report/summary.js";
import { gitCheckout } from "../../runtime/git-checkout.js";
import { asPiece } from "../../runtime/progress.js";
import { learnedHeadBytes } from "../heads/learned-bytes.js";
import type { Judged } from "../judge/judge-models.js";
import { dataRecords } from "../records/data-record.js";
import { environmentRecord, inputFingerprints } from "../records/records.js";
import { type CustomTracking, finishTracking, type Tracking, trackRun } from "../records/tracking.js";
import type { ComparedModels } from "../session/compared-models.js";
import { type SessionOptions, withSession } from "../session/session.js";
import { collapseWatch } from "./collapse.js";
import { openFolder, requireFitPlace } from "./fit-folder.js";
import { estimateOnce, sayNeeds } from "./fit-needs.js";
import { type Beside, openBeside } from "./judge-beside.js";
import { judgeFit } from "./judge-fit.js";
import { learnStages } from "./learn-stages.js";
import { prepareLearning } from "./learning-data.js";
import { reportFit } from "./report-fit.js";

export interface FitOptions extends SessionOptions {
  /** Replace an earlier run of the same name. */
  readonly overwrite: boolean;
  /** The folder of a stopped run to go on with; `config` is its own. */
  readonly resume?: string;
  /** Models that were judged before on the same examples, shown before the learned one; default: base, averaging, experts and start are judged. */
  readonly compared?: readonly Judged[];
  readonly onEvent: (event: TrainEvent) => void;
  /** Evaluations on another split besides. */
  readonly beside?: Beside;
  /** Where the run is delivered to while it goes on. */
  readonly tracking?: Tracking | CustomTracking;
  /** The folder whose git checkout is noted, if it lies in one. */
  readonly cwd?: string;
}

export interface FitResult {
  readonly runPath: string;
  /** What the learned model is read against, and the learned model; empty when interrupted. */
  readonly table: readonly ResultRow[];
  /** The same models with their evaluations. */
  readonly judged: readonly Judged[];
  /** What the learned model gains over averaging and over where it started; none without labels. */
  readonly gains: readonly LearnedGain[];
  /** The last coefficients, constrained, [K][L]. */
  readonly coefficients: readonly (readonly number[])[];
  /** Different examples that the objective can have seen. */
  readonly imagesUnique: number;
  /** Of the numbers of heads that were learned; 0 where none were. */
  readonly headBytes: number;
  readonly reason: "finished" | "interrupted";
}

/**
 * Fits the coefficients of `config` and writes the run folder, or goes on in the folder `resume`. An abort ends the run as `interrupted`, an
 * error as `failed` with its reason; in both cases the last good coefficients and a checkpoint are in the folder.
 */
export async function fit(config: RunConfig, options: FitOptions): Promise<FitResult> {
  const started = performance.now();
  if (options.resume === undefined) await requireFitPlace(config, options);
  const onCompared = (models: ComparedModels) => sayNeeds(config, models, options);
  return withSession(config, { ...options, onCompared, isSaved: config.save_model }, async (session) => {
    const prepared = await prepareLearning(config, session, options.cacheDir);
    const { examples } = prepared;
    const { folder, state } = await openFolder(config, options, inputFingerprints(config, session.inputs, examples));
    const tracked = { kind: "fit", runPath: folder.path, config } as const;
    const tracker = options.tracking && trackRun(tracked, options.tracking, options.log);
    try {
      const read = { adapted: examples, judged: session.evaluation.examples };
      await folder.writeEnvironment({
        ...environmentRecord(session.engine, session.inputs),
        ...(options.cwd === undefined ? {} : await gitCheckout(options.cwd)),
        data: dataRecords(config, session.inputs, read),
      });
      const consumers = [
        folder.record,
        options.onEvent,
        estimateOnce(options.log),
        await collapseWatch(options.log, options.resume && `${folder.path}/metrics.jsonl`),
        (event: TrainEvent) => tracker?.notify(event),
      ];
      const { signal, cacheDir } = options;
      const beside = options.beside && (await openBeside(options.beside, session, cacheDir));
      const place = { signal, cacheDir, consumers, folder, beside };
      const learned = await learnStages(config, session, prepared, place, state);
      const { judged, gains } =
        learned.reason === "finished"
          ? await judgeFit(config, session, options, folder, learned, started, beside)
          : { judged: [], gains: [] };
      const reason = judged.length === 0 ? "interrupted" : "finished";
      await folder.setState(reason);
      if (reason === "finished" && config.save_report)
        await asPiece(options.onProgress, "writing the report", () =>
          reportFit(folder.path, config, session.inputs, judged, options.log),
        );
      const imagesUnique = [...examples.values()].reduce((sum, { size }) => sum + size, 0);
      const table = judged.map(({ row }) => row);
      const headBytes = learnedHeadBytes(session.inputs.heads, config);
      const coefficients = learned.record.values;
      return { runPath: folder.path, table, judged, gains, coefficients, imagesUnique, headBytes, reason };
    } catch (error) {
      // On a full disk the state cannot be written either; the reason is worth more than the second error.
      await folder.setState("failed", error instanceof Error ? error.message : String(error)).catch(() => {});
      throw error;
    } finally {
      await folder.close();
      await finishTracking(tracker, options);
    }
  });
}
