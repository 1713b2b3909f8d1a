/** The verbs as programs use them, on a tiny suite of texts: a fit with events that is stopped and resumed, and what is done with its result. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  CheckpointError,
  ConfigError,
  type CustomTracking,
  evaluate,
  type FitResult,
  fit,
  loadConfig,
  merge,
  type Progress,
  readCoefficients,
  readStateDict,
  report,
  resume,
  type WorkEvent,
  type WorkOptions,
} from "../../src/index.js";
import { temporaryFolder } from "../support/cli.js";
import { TEXT_TASKS, writeTextSuite } from "../support/tiny-text-suite.js";

const TASKS = Object.keys(TEXT_TASKS);
const STEPS = 4;
const BARE = { save_model: false, save_report: false };
const SETTINGS = { steps: STEPS, "data.eval_every": 2, checkpoint_every: 2, ...BARE };

let folder: string;
let whole: FitResult;
const events: WorkEvent[] = [];
const isOver = ({ done, total }: Progress): boolean => done === total;
const work = (more: WorkOptions = {}): WorkOptions => ({ cwd: folder, cacheDir: "cache", tracking: false, ...more });
const config = (name: string) => loadConfig("config.yaml", { overrides: { ...SETTINGS, name }, cwd: folder });
const text = (runPath: string, file: string) => readFile(join(runPath, file), "utf8");

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeTextSuite(folder);
  whole = await fit(await config("whole"), work({ onEvent: (event) => events.push(event) }));
});

describe("fit", () => {
  it("finishes with rows and coefficients by name, in `runs` of the working folder", async () => {
    expect(whole.reason).toBe("finished");
    expect(whole.runPath).toBe(join(folder, "runs", "config", "whole"));
    expect(whole.rows.map(({ method }) => method)).toEqual([
      ...["pretrained", "weight_averaging", "individual", "start", "adamerging_layer_wise"],
    ]);
    expect(whole.coefficients.tasks).toEqual(TASKS);
    expect(await readCoefficients("runs/config/whole", { cwd: folder })).toEqual(whole.coefficients);
  });

  it("tells its steps, evaluations and checkpoints as events", () => {
    const pieces = events.flatMap((event) => (event.type === "progress" ? [event] : []));
    const judged = pieces.filter(({ what }) => what.startsWith("judging "));
    expect(new Set(judged.map(({ what }) => what))).toContain("judging individual");
    // Every piece that begins is told to be over.
    for (const { what } of pieces)
      expect(
        pieces.findLast((piece) => piece.what === what),
        what,
      ).toSatisfy(isOver);
    const types = events.map(({ type }) => type).filter((type) => type !== "progress");
    expect(types[0]).toBe("start");
    expect(types.filter((type) => type === "step")).toHaveLength(STEPS);
    expect(types).toContain("evaluation");
    expect(types).toContain("checkpoint");
    expect(types).toContain("end");
  });

  it("that was aborted after a step is resumed to the bits of one that was not", async () => {
    const abort = new AbortController();
    const onEvent = (event: WorkEvent) => {
      if (event.type === "step" && event.step === 1) abort.abort();
    };
    const stopped = await fit(await config("stopped"), work({ signal: abort.signal, onEvent }));
    expect(stopped).toMatchObject({ reason: "interrupted", rows: [] });
    const lines: string[] = [];
    const resumed = await resume("runs/config/stopped", work({ log: (line) => lines.push(line) }));
    expect(lines.join("\n")).toContain(`goes on after step 1 of ${STEPS}`);
    expect(resumed.reason).toBe("finished");
    expect(resumed.rows).toEqual(whole.rows);
    for (const file of ["coefficients.json", "predictions.json"])
      expect(await text(resumed.runPath, file)).toBe(await text(whole.runPath, file));
    // Once more there is nothing left to do.
    expect(await resume(resumed.runPath, work())).toEqual(resumed);
  });

  it("refuses a run that is there, unless told to overwrite it", async () => {
    await expect(fit(await config("whole"), work())).rejects.toThrow(ConfigError);
  });

  it("takes a config that a program made, and says every mistake in it", async () => {
    const data = { adapt_split: "adapt", batch_size: 2, eval_batch_size: 4 };
    const made = { suite: ".", name: "made", granularity: "task-wise", steps: 2, threads: 1, data, ...BARE } as const;
    const { runPath, coefficients } = await fit(made, work({ output: "results" }));
    expect(runPath).toBe(join(folder, "results", "default", "made"));
    expect(coefficients.groups).toEqual(["all"]);
    await expect(fit({ ...made, steps: 0 }, work())).rejects.toThrow(/config key steps/);
    await expect(loadConfig("config.yaml", { overrides: ["stps=1"], cwd: folder })).rejects.toThrow(/stps.*steps/);
  });

  it("ends with what a program's own onEvent throws, and keeps the run", async () => {
    const onEvent = (event: WorkEvent) => {
      if (event.type === "step") throw new Error("mine");
    };
    await expect(fit(await config("thrown"), work({ onEvent }))).rejects.toThrow("mine");
    expect(JSON.parse(await text(join(folder, "runs", "config", "thrown"), "status.json"))).toMatchObject({
      state: "failed",
    });
  });

  it("is followed by a tracker of the program's, whose mistakes do not stop it", async () => {
    const seen: string[] = [];
    const finished: string[] = [];
    const tracking: CustomTracking = {
      track: ({ runPath, config: { steps } }) => ({
        notify: ({ type }) => {
          seen.push(type);
          if (type === "step") throw new Error("a server is away");
        },
        finish: async () => {
          finished.push(`${steps} ${JSON.parse(await text(runPath, "status.json")).state}`);
        },
      }),
    };
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const { reason } = await fit(await config("tracked"), work({ tracking, log }));
    expect(reason).toBe("finished");
    expect(seen.filter((type) => type === "step")).toHaveLength(STEPS);
    expect(finished).toEqual([`${STEPS} finished`]);
    expect(lines.filter((line) => line.includes("tracker: a server is away"))).toHaveLength(1);
  });
});

describe("what a fit learned", () => {
  it("is judged again with the same numbers, as are methods", async () => {
    const again = await evaluate(await config("whole"), { coefficients: whole.runPath }, work());
    expect(again.row.tasks).toEqual(whole.rows.at(-1)?.tasks);
    expect(Object.keys(again.predictions.methods.coefficients ?? {})).toEqual(TASKS);
    const averaged = await evaluate(await config("whole"), { method: "weight_averaging" }, work());
    expect(averaged.row.tasks).toEqual(whole.rows[1]?.tasks);
    await expect(evaluate(await config("whole"), { method: "tie" }, work())).rejects.toThrow(/Did you mean ties/);
    await expect(evaluate(await config("whole"), { coefficients: "nowhere" }, work())).rejects.toThrow(CheckpointError);
  });

  it("is merged into a folder, and described in a report", async () => {
    const folderOfModel = await merge(await config("whole"), {
      ...work(),
      coefficients: "runs/config/whole",
      output: "merged",
    });
    expect(folderOfModel).toBe(join(folder, "merged"));
    const merged = await readStateDict(folderOfModel);
    const base = await readStateDict(join(folder, "models", "base"));
    expect([...merged.keys()].toSorted()).toEqual([...base.keys()].toSorted());
    expect(await report("runs/config/whole", work())).toBe(join(whole.runPath, "report.html"));
  });
});
