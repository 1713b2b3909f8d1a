/** What the two ways to learn (learn-coefficients.ts, learn-weights.ts) are given of a stage of a fit, and what they leave to the next one. */
import type { RunConfig } from "../../config/schema.js";
import type { Executable } from "../../engine/program.js";
import type { Head } from "../../model/heads.js";
import type { TrainState } from "../../optimize/events.js";
import type { LoopResult, StagePlace } from "../../optimize/training-loop.js";
import type { RunFolder } from "../../track/run-folder.js";
import type { Session } from "../session/session.js";
import type { EventConsumer } from "./consume-events.js";
import type { JudgeBeside } from "./judge-beside.js";
import type { Learned } from "./judge-fit.js";
import type { LearningData } from "./training.js";

export interface StageConfig {
  /** Of the stage: it has none itself. */
  readonly config: RunConfig;
  /** Of the fit, which names what comes out. */
  readonly whole: RunConfig;
}

/** `step` is closed when the stage is over. */
export type StageSession = Session & {
  readonly step: Executable;
  readonly data: LearningData;
  /** Those that the stage begins with: the suite's, unless a stage before it learned others. */
  readonly heads: readonly Head[];
};

export interface StageOptions {
  readonly signal: AbortSignal;
  readonly consumers: readonly EventConsumer[];
  readonly folder: RunFolder;
  readonly cacheDir: string;
  /** Evaluations on another split, where somebody wants them. */
  readonly beside: JudgeBeside | undefined;
  /** Absent in a fit without stages. */
  readonly stage: StagePlace | undefined;
}

/** A stage that is over, for the one that follows: its last state and the merged tensors by name. */
export type StageEnd = TrainState & { readonly merged: ReadonlyMap<string, Float32Array> };

export interface StageResult {
  readonly reason: LoopResult<TrainState>["reason"];
  end(): Promise<StageEnd>;
  /** Writes what was learned into the run folder, where no stage follows. Throws what the stage failed of. */
  conclude(): Promise<Learned>;
}
