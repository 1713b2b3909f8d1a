/**
 * What a server is told of a run beside its points and files, whatever kind of run it is: its kinds say it in
 * told-fit.ts and told-finetune.ts, and the delivery knows no kind.
 */
import path from "node:path";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import { readAnyRun } from "../read-run.js";
import { environmentKind, type RunStatus } from "../run-folder.js";
import type { MlflowMetric, MlflowText } from "./client.js";
import { toldFinetune } from "./told-finetune.js";
import { toldFit } from "./told-fit.js";

/** When a point is of, in milliseconds since 1970 and in steps. */
export interface PointPlace {
  readonly timestamp: number;
  readonly step: number;
}

/** What a run came to, as points. */
export interface ResultPoints {
  /** All of them. */
  readonly run: readonly MlflowMetric[];
  /** Those that are of the model, which a server with logged models has there too. */
  readonly model: readonly MlflowMetric[];
}

/** The part of a told run that depends on its kind. */
export interface ToldKind {
  /** Of the run, unless another is asked for. */
  readonly experiment: string;
  readonly name: string;
  /** The resolved configuration, one parameter per key. */
  readonly params: readonly MlflowText[];
  /** What a reader of the numbers must know, beside where it ran. */
  readonly tags: readonly MlflowText[];
  /** Markdown, of a run that has ended. */
  readonly description: string;
  /** Undefined without a summary. */
  readonly results: ((at: PointPlace) => ResultPoints) | undefined;
  /** Whether a point of an evaluation is measured on a data set, by their names on the server. */
  readonly isMeasuredOn: (metric: string, dataset: string) => boolean;
  readonly model: {
    /** What the models of a server are sorted by. */
    readonly type: string;
    /** Whether the run's own settings ask for its delivery, and under which name it is registered then. */
    readonly isWanted: boolean;
    readonly register: string | null;
  };
}

export interface ToldRun extends ToldKind {
  readonly folder: string;
  readonly status: RunStatus;
  readonly environment: Readonly<Record<string, unknown>>;
}

/** Reads a run as far as it has got. Throws ConfigError for a folder that is none, or is damaged. */
export async function readToldRun(folder: string): Promise<ToldRun> {
  const run = await readAnyRun(folder);
  const environment = (await readJsonFileIfThere(path.join(folder, "environment.json"), environmentKind)) ?? {};
  const { status } = run;
  const told =
    run.kind === "fit" ? await toldFit(folder, run, environment) : await toldFinetune(folder, run, environment);
  return { folder, status, environment, ...told };
}
