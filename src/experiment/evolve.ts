/**
 * Settings that are a list of numbers, one for each task, found by CMA-ES on val: PCB-Merging's own search. Every candidate is judged on the
 * other split too, which chooses nothing. What was judged is kept after each candidate; since CMA-ES is a function of its seed and the values it was told, a search that was
 * stopped goes on as if it had not been.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { requireEvalSplit } from "../config/judged-split.js";
import { loadRunConfig } from "../config/load.js";
import { askCmaEs, initCmaEs, tellCmaEs } from "../optimize/cma-es.js";
import { chooseMethod } from "../run/judge/choose-method.js";
import { prepareMethod } from "../run/judge/judge-models.js";
import { loadLabelled } from "../run/session/inputs.js";
import { type SessionOptions, withSession } from "../run/session/session.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { createRng } from "../runtime/rng.js";
import { type LoadCellsOptions, silent, unusualSettings } from "./cells.js";
import type { Candidate } from "./chosen-settings.js";
import type { Evolution, Experiment, ExperimentRow } from "./experiment-file.js";
import { readKept } from "./kept-file.js";

/** Of the range of a number: the first step size. */
const FIRST_STEP = 1 / 4;

const recordSchema = z.object({
  candidates: z.array(z.object({ settings: z.record(z.string(), z.unknown()), val: z.number(), judged: z.number() })),
  seconds: z.number(),
});
type Evolved = z.output<typeof recordSchema>;

/** Searches on the row's first suite; throws when the signal aborts. */
export async function evolveRow(
  experiment: Experiment,
  row: ExperimentRow,
  evolution: Evolution,
  suite: string,
  options: LoadCellsOptions & SessionOptions,
  trialsDir: string,
): Promise<Evolved> {
  const ofSuite = [`suite=${suite}`, `seed=${experiment.seeds[0] ?? 0}`];
  const overrides = [...row.overrides, ...options.overrides, ...ofSuite];
  const { config } = await loadRunConfig(experiment.config, overrides, options);
  const judgedOn = requireEvalSplit(config, "an experiment");
  const data = { ...config.data, eval_split: experiment.search.eval_split };
  const facts = [
    await options.suiteFingerprint(suite, row.method),
    row.method,
    row.settings,
    evolution,
    experiment.search,
  ];
  const hash = createHash("sha256").update(JSON.stringify([...facts, unusualSettings(config)]));
  const file = path.join(trialsDir, `${row.name}-evolve-${hash.digest("hex").slice(0, 12)}.json`);
  const kept = (await readKept(file, { what: "what a search judged", schema: recordSchema }, options.log)) ?? {
    candidates: [],
    seconds: 0,
  };
  const onVal = silent({ ...config, data }, experiment, path.basename(file, ".json"), options);
  return withSession(onVal, { ...options, log: () => {} }, async ({ inputs, evaluation }) => {
    const examples = await loadLabelled(inputs, inputs.judged, judgedOn, options.cacheDir);
    const findings = new Map<string, unknown>();
    const candidates: Candidate[] = [];
    let { seconds } = kept;
    /** Accuracy on val, and how far the numbers were moved to lie in their range. */
    const judge = async (asked: readonly number[]): Promise<number> => {
      const numbers = asked.map((value) => Math.min(Math.max(value, evolution.min), evolution.max));
      const settings = { ...row.settings, [evolution.setting]: numbers };
      const known = kept.candidates[candidates.length];
      if (known !== undefined) {
        candidates.push(known);
      } else {
        options.signal.throwIfAborted();
        const started = performance.now();
        const chosen = chooseMethod(row.method ?? "", settings);
        const judgeOn = await prepareMethod(onVal, inputs, chosen, { ...evaluation, findings });
        const val = (await judgeOn(evaluation)).row.average;
        const judged = (await judgeOn({ ...evaluation, examples })).row.average;
        candidates.push({ settings, val, judged });
        seconds += (performance.now() - started) / 1000;
        await writeFileAtomic(file, `${JSON.stringify({ candidates, seconds })}\n`);
        options.log(`  [${candidates.length}/${evolution.evaluations}] ${val.toFixed(2)} % on ${data.eval_split}`);
      }
      const moved = asked.reduce((sum, value, index) => sum + (value - (numbers[index] ?? 0)) ** 2, 0);
      return -(candidates.at(-1)?.val ?? 0) + moved;
    };
    const start = inputs.tasks.map(() => evolution.initial);
    await judge(start);
    const rng = createRng(config.seed, "evolve", row.name);
    let state = initCmaEs(start, (evolution.max - evolution.min) * FIRST_STEP);
    while (candidates.length < evolution.evaluations) {
      const asked = askCmaEs(state, rng).slice(0, evolution.evaluations - candidates.length);
      const values: number[] = [];
      for (const candidate of asked) values.push(await judge(candidate));
      state = tellCmaEs(state, asked, values);
    }
    return { candidates, seconds };
  });
}
