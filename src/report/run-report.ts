/** What a report of a fit shows, read from its run folder: curves, coefficients, table, cost. K tasks, L groups. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { RunConfig } from "../config/schema.js";
import { type CoefficientsRecord, parseCoefficients } from "../track/coefficients-file.js";
import { readRun } from "../track/reopen-run.js";
import type { RunStatus, TrajectoryPoint } from "../track/run-folder.js";
import type { Summary } from "./summary.js";

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
  /** Only of a run that has finished. */
  readonly summary: Summary | undefined;
  readonly coefficients: CoefficientsRecord | undefined;
  readonly trajectory: readonly TrajectoryPoint[];
  /** metrics.jsonl, one entry per line, without what is not finite. */
  readonly metrics: readonly Readonly<Record<string, number>>[];
  readonly geometry: z.output<typeof geometrySchema> | undefined;
}

export const GEOMETRY_FILE = "task-vectors.json";
const geometrySchema = z.object({
  tasks: z.array(z.string()),
  normRatios: z.array(z.number()),
  cosines: z.array(z.array(z.number())),
});

/** Reads a run, finished or not. @throws ConfigError when the folder holds none */
export async function readRunReport(folder: string): Promise<RunReport> {
  const { config, status } = await readRun(folder);
  const text = (name: string) => readFile(path.join(folder, name), "utf8").catch(() => undefined);
  const [environment, summary, coefficients, geometry] = await Promise.all(
    ["environment.json", "summary.json", "coefficients.json", GEOMETRY_FILE].map(text),
  );
  return {
    folder,
    config,
    status,
    environment: environment === undefined ? {} : { ...JSON.parse(environment) },
    summary: summary === undefined ? undefined : JSON.parse(summary),
    coefficients:
      coefficients === undefined ? undefined : parseCoefficients(coefficients, path.join(folder, "coefficients.json")),
    trajectory: lines((await text("trajectory.jsonl")) ?? "").map(
      ({ step, values }): TrajectoryPoint => ({ step: Number(step), values: values as number[][] }),
    ),
    metrics: lines((await text("metrics.jsonl")) ?? "").map((line) =>
      Object.fromEntries(Object.entries(line).filter((entry): entry is [string, number] => Number.isFinite(entry[1]))),
    ),
    geometry: geometry === undefined ? undefined : geometrySchema.parse(JSON.parse(geometry)),
  };
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

/** The whole JSON objects of a log; its last line may be cut off while the run goes on. */
function lines(text: string): Record<string, unknown>[] {
  return text.split("\n").flatMap((line) => {
    try {
      return line === "" ? [] : [{ ...JSON.parse(line) }];
    } catch {
      return [];
    }
  });
}
