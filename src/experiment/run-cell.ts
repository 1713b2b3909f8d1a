/** Computes one cell: merges by a method, or fits, and judges the model. */
import type { TrainEvent } from "../optimize/events.js";
import { chooseMethod } from "../run/choose-method.js";
import { type Judged, judgeMethod } from "../run/models.js";
import { type Session, type SessionOptions, withSession } from "../run/session.js";
import { fit } from "../run.js";
import type { Cell } from "./cells.js";
import type { CellResult } from "./results.js";

/** Split on which searches choose. */
const CHOOSING_SPLIT = "val";

/** The cell's result. Throws when the signal aborts: a cell is whole or not there. */
export async function runCell(cell: Cell, options: SessionOptions): Promise<CellResult> {
  const started = performance.now();
  const partial = cell.row.fit === undefined ? await runMethod(cell, options) : await runFit(cell, options);
  return { key: cell.key, ...partial, seconds: (performance.now() - started) / 1000 };
}

type Partial = Omit<CellResult, "key" | "seconds">;

async function runMethod({ row, config }: Cell, options: SessionOptions): Promise<Partial> {
  const name = row.method ?? "";
  const judge = (session: Session, settings: Readonly<Record<string, unknown>>) =>
    judgeMethod(config, session.inputs, chooseMethod(name, settings), session.evaluation);
  const candidates: { settings: Record<string, unknown>; average: number }[] = [];
  if (row.search !== undefined) {
    const onVal = { ...config, data: { ...config.data, eval_split: CHOOSING_SPLIT } };
    await withSession(onVal, options, async (session) => {
      for (const found of combinations(row.search ?? {})) {
        const settings = { ...row.settings, ...found };
        candidates.push({ settings, average: (await judge(session, settings)).row.average });
      }
    });
  }
  const best = candidates.toSorted((a, b) => b.average - a.average)[0]?.settings;
  const judged = await withSession(config, options, (session) => judge(session, best ?? row.settings));
  return { ...judgedFacts(judged), ...(best === undefined ? {} : { chosen: best, candidates }), imagesPresented: 0 };
}

/** Every combination of the values of a grid, the last key fastest. */
export function combinations(grid: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown>[] {
  return Object.entries(grid).reduce<Record<string, unknown>[]>(
    (all, [key, values]) => all.flatMap((settings) => values.map((value) => ({ ...settings, [key]: value }))),
    [{}],
  );
}

async function runFit({ config }: Cell, options: SessionOptions): Promise<Partial> {
  const curve: NonNullable<CellResult["curve"]> = [];
  let [imagesPerStep, steps] = [0, 0];
  const onEvent = (event: TrainEvent): void => {
    if (event.type === "start") imagesPerStep = event.imagesPerStep;
    if (event.type === "end") steps = event.step;
    if (event.type !== "evaluation") return;
    const accuracies = event.tasks.map((task, index): [string, number] => [
      task,
      event.accuracyPercent[index] ?? Number.NaN,
    ]);
    curve.push({ step: event.step, average: event.averagePercent, tasks: Object.fromEntries(accuracies) });
  };
  const { judged } = await fit(config, { ...options, overwrite: true, baselines: false, onEvent });
  const [learned] = judged;
  options.signal.throwIfAborted();
  if (learned === undefined) throw new Error("the fit ended without a result");
  curve.push({ step: steps, average: learned.row.average, tasks: { ...learned.row.tasks } });
  return { ...judgedFacts(learned), curve, imagesPresented: steps * imagesPerStep };
}

function judgedFacts({ row, evaluations }: Judged): Pick<CellResult, "tasks" | "hits" | "predictions"> {
  const facts = [...evaluations];
  return {
    tasks: { ...row.tasks },
    hits: Object.fromEntries(facts.map(([task, { hits }]) => [task, hits.join("")])),
    predictions: Object.fromEntries(facts.map(([task, { predictions }]) => [task, [...predictions]])),
  };
}
