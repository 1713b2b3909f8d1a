/** What a report of a fit shows, read from its run folder: curves, coefficients, table, cost. K tasks, L groups. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { RunConfig } from "../config/schema.js";
import { readJsonFileIfThere, readJsonLines } from "../runtime/json-file.js";
import { type CoefficientsRecord, readCoefficients } from "../track/coefficients-file.js";
import { readRun } from "../track/read-run.js";
import { environmentKind, examplesOf, type RunStatus, type TrajectoryPoint } from "../track/run-folder.js";
import { type ChangedExamples, EXAMPLES_FILE, examplesKind } from "./changed-examples.js";
import { type Summary, summaryKind } from "./summary.js";

/** One value of a curve. */
export interface CurvePoint {
  readonly step: number;
  readonly task: string;
  readonly value: number;
}

export interface RunReport {
  readonly folder: string;
  readonly config: RunConfig;
  readonly status: RunStatus;
  readonly environment: Readonly<Record<string, unknown>>;
  /** What it learns from: "images", "texts". */
  readonly examples: string;
  /** Only of a run that has finished. */
  readonly summary: Summary | undefined;
  readonly coefficients: CoefficientsRecord | undefined;
  readonly trajectory: readonly TrajectoryPoint[];
  /** metrics.jsonl, one entry per line, without what is not finite. */
  readonly metrics: readonly Readonly<Record<string, number>>[];
  /** What the fit gained and lost. */
  readonly changed: ChangedExamples | undefined;
  readonly geometry: z.output<typeof geometryKind.schema> | undefined;
}

const COEFFICIENTS_FILE = "coefficients.json";
export const GEOMETRY_FILE = "task-vectors.json";
const REMAKE = "put the file back, or delete it to do without";
const geometryKind = {
  what: "the geometry of a run's task vectors",
  schema: z.object({
    tasks: z.array(z.string()),
    normRatios: z.array(z.number()),
    cosines: z.array(z.array(z.number())),
  }),
  advice: REMAKE,
} as const;
const pointSchema = z.object({ step: z.int(), values: z.array(z.array(z.number())) });

/**
 * Reads a run, finished or not; `log` is told of damaged lines of its logs. @throws ConfigError when the folder holds none, and UserErrors
 * for files of it that are damaged
 */
export async function readRunReport(folder: string, log: (line: string) => void): Promise<RunReport> {
  const { config, status } = await readRun(folder);
  const file = (name: string) => path.join(folder, name);
  const hasCoefficients = (await stat(file(COEFFICIENTS_FILE)).catch(() => undefined)) !== undefined;
  const lines = (name: string) => readJsonLines(file(name), "a log of a run", log);
  const environment = (await readJsonFileIfThere(file("environment.json"), environmentKind)) ?? {};
  return {
    folder,
    config,
    status,
    environment,
    examples: examplesOf(environment),
    summary: await readJsonFileIfThere(file("summary.json"), summaryKind),
    coefficients: hasCoefficients ? await readCoefficients(file(COEFFICIENTS_FILE)) : undefined,
    trajectory: (await lines("trajectory.jsonl")).flatMap((line) => pointSchema.safeParse(line).data ?? []),
    metrics: await metricsLines(folder, log),
    changed: await readJsonFileIfThere(file(EXAMPLES_FILE), examplesKind),
    geometry: await readJsonFileIfThere(file(GEOMETRY_FILE), geometryKind),
  };
}

/** metrics.jsonl of a run, one entry per line, without what is not finite. */
export async function metricsLines(
  folder: string,
  log: (line: string) => void,
): Promise<readonly Readonly<Record<string, number>>[]> {
  return (await readJsonLines(path.join(folder, "metrics.jsonl"), "a log of a run", log)).map((line) =>
    Object.fromEntries(Object.entries(line).filter((entry): entry is [string, number] => Number.isFinite(entry[1]))),
  );
}

/** The curves `<prefix>/<task>` of a run. */
export function curves({ metrics }: Pick<RunReport, "metrics">, prefix: string): CurvePoint[] {
  const start = `${prefix}/`;
  return metrics.flatMap((line) =>
    Object.entries(line)
      .filter(([key]) => key.startsWith(start))
      .map(([key, value]) => ({ step: line.step ?? 0, task: key.slice(start.length), value })),
  );
}
