/** A whole small experiment on the shipped suite: interrupted, resumed, repeated, changed. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { reproduce } from "../../src/experiment/reproduce.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

const SUITE = "mini8";
let folder: string;
let file: string;

const HEAD = `title: Small
config: ${join(ROOT, "configs", `${SUITE}.yaml`)}
suites: [${join(ROOT, "datasets", SUITE)}]
seeds: [3, 4]
adaptation:
  - { name: inductive, split: adapt }
rows:
`;

const experiment = (scale: number) => `${HEAD}
  - { name: individual, method: individual }
  - { name: weight_averaging, method: weight_averaging }
  - { name: chosen, method: task_arithmetic, setting: val, settings: { scale: ${scale} } }
  - { name: learned, fit: [granularity=task-wise] }
`;

const searching = (scales: string) => `${HEAD}
  - { name: chosen, method: task_arithmetic, search: { scale: ${scales} } }
  - name: ladder
    fit: [granularity=task-wise]
    published: false
    search: { optimizer.learning_rate: [0.001, 0.01], steps: [1, 2] }
    seeds: [3]
  - name: weights
    fit: [parametrisation=rows]
    published: false
    search: { steps: [1, 2] }
    seeds: [3]
`;

const run = (
  overrides: readonly string[] = [],
  signal: AbortSignal = new AbortController().signal,
  { dryRun = false, search = false } = {},
) => {
  const lines: string[] = [];
  return reproduce({
    experiment: file,
    experimentsDir: join(ROOT, "experiments"),
    presetsDir: join(ROOT, "configs", "presets"),
    cwd: folder,
    overrides: [
      "tasks=[mnist, letters]",
      "data.eval_limit=40",
      "data.batch_size=4",
      "steps=2",
      "data.eval_every=1",
      ...overrides,
    ],
    output: join(folder, "runs"),
    cacheDir: join(folder, "cache"),
    jobs: 1,
    dryRun,
    search,
    signal,
    log: (line) => lines.push(line),
  }).then((result) => ({ ...result, lines }));
};

beforeAll(async () => {
  folder = await temporaryFolder();
  file = join(folder, "small.yaml");
  await writeFile(file, experiment(0.3));
});

interface Searched {
  readonly val: object;
  readonly oracle: object;
  readonly candidates: readonly { readonly settings: object; readonly val: number; readonly judged: number }[];
}

async function searched(row: string): Promise<Searched> {
  const file = JSON.parse(await readFile(join(folder, "runs", "searched", "settings.json"), "utf8"));
  return file.rows[row];
}

describe("searched settings", () => {
  const inOther = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = file;
    file = join(folder, "searched.yaml");
    try {
      return await work();
    } finally {
      file = before;
    }
  };

  it("are asked for, searched on val with a fit's steps among them, kept with what was tried, and searched again when the grid changes", () =>
    inOther(async () => {
      await writeFile(file, searching("[0, 0.3]"));
      await expect(run()).rejects.toThrow(
        /searched for chosen, ladder, weights in .*settings.searched\.json, found none.*--search/,
      );

      const first = await run([], undefined, { search: true });
      expect(first.missing).toBe(0);
      const { val, oracle, candidates } = await searched("chosen");
      expect(candidates.map(({ settings }) => settings)).toEqual([{ scale: 0 }, { scale: 0.3 }]);
      const best = (which: "val" | "judged") => candidates.toSorted((a, b) => b[which] - a[which])[0]?.settings;
      expect(val).toEqual(best("val"));
      expect(oracle).toEqual(best("judged"));

      const ladder = await searched("ladder");
      const tried = [1e-3, 1e-2].flatMap((rate) => [1, 2].map((steps) => ({ "optimizer.learning_rate": rate, steps })));
      expect(ladder.candidates.map(({ settings }) => settings)).toEqual(tried);
      const lines = first.table.rows.filter(({ method }) => method === "ladder");
      expect(lines.map(({ setting, evaluations }) => [setting, evaluations])).toEqual([
        ["val", 4],
        ["oracle", 4],
      ]);
      // What a step of the ladder is worth is what a fit of so many steps gives.
      const chosen = ladder.candidates.find(({ settings }) => JSON.stringify(settings) === JSON.stringify(ladder.val));
      expect(lines[0]?.average).toBeCloseTo(chosen?.judged ?? Number.NaN, 10);
      expect(lines[0]).toMatchObject({ class: "unlabelled images, labels for settings", labels: "settings", rank: 1 });
      expect(lines[1]).toMatchObject({ class: "oracle", rank: null });

      // So it is where what is learned are weights, which a search does not keep.
      const weights = await searched("weights");
      const own = first.table.rows.find(({ method, setting }) => method === "weights" && setting === "val");
      const found = weights.candidates.find(({ settings }) => JSON.stringify(settings) === JSON.stringify(weights.val));
      expect(own?.average).toBeCloseTo(found?.judged ?? Number.NaN, 10);
      expect(weights.candidates.map(({ settings }) => settings)).toEqual([{ steps: 1 }, { steps: 2 }]);
      // Refused before any row is searched.
      const staged = "fit: ['stages=[{steps: 1}, {steps: 1, parametrisation: rows}]']";
      await writeFile(file, searching("[0, 0.3]").replace("fit: [parametrisation=rows]", staged));
      await expect(run([], undefined, { search: true })).rejects.toThrow(
        /row weights: search.steps: expected none with stages, which say their own steps, found \[1,2\]; list whole/,
      );
      await writeFile(file, searching("[0, 0.3]"));

      // Taken from where the search left them, without searching.
      expect(await run()).toMatchObject({ computed: 0, table: first.table });
      await writeFile(file, searching("[0, 0.2]"));
      await expect(run()).rejects.toThrow(/searched for chosen in/);
      await writeFile(file, searching("[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3]"));
      await expect(run()).rejects.toThrow(
        /row chosen: search: expected at most 12 combinations \(search.budget\), found 13/,
      );
    }));
});

describe("reproduce", () => {
  it("lists what it would compute, stops at an abort, goes on, and keeps what it has", async () => {
    const dry = await run([], undefined, { dryRun: true });
    expect(dry).toMatchObject({ computed: 0, kept: 0, missing: 5 });
    expect(dry.lines[0]).toBe("small: 5 cells, 0 on disk, 5 to compute");
    expect(dry.table.rows).toEqual([]);

    const abort = new AbortController();
    const watched = run([], abort.signal);
    // Aborted when the first row is on disk.
    await expect
      .poll(() => readdir(join(folder, "runs", "small", "cells")).catch(() => []), { timeout: 60_000 })
      .toHaveLength(1);
    abort.abort();
    const first = await watched;
    expect(first.computed).toBeLessThan(5);
    expect(first.computed + first.missing).toBe(5);

    const rest = await run();
    expect(rest).toMatchObject({ kept: first.computed, computed: 5 - first.computed, missing: 0 });
    const again = await run();
    expect(again).toMatchObject({ kept: 5, computed: 0 });
    expect(again.table).toEqual(rest.table);

    const rows = new Map(again.table.rows.map((row) => [row.method, row]));
    expect(rows.get("individual")).toMatchObject({ class: "reference", normalized: 100, runs: 1, adapted: null });
    expect(rows.get("weight_averaging")).toMatchObject({
      class: "no data",
      tasksBelow: 0,
      gain: { points: 0, interval: [0, 0] },
    });
    expect(rows.get("chosen")).toMatchObject({
      class: "labels for settings",
      labels: "settings",
      settings: { scale: 0.3 },
    });
    // An expert more, of 1.2 million float32.
    expect(rows.get("individual")?.extraBytes).toBeGreaterThan(4.5e6);
    expect(rows.get("chosen")?.extraBytes).toBe(0);
    const learned = rows.get("learned");
    expect(learned).toMatchObject({ class: "unlabelled images", adapted: "inductive", runs: 2 });
    // Two steps of two batches of four images of two tasks.
    expect(learned?.images).toBe(2 * 2 * 4 * 2);
    expect(learned?.imagesUnique).toBe(2 * 2 * 4 * 2);
    expect([0, 1, 2]).toContain(learned?.best?.step);
    for (const row of rows.values()) {
      expect(row.average).toBeGreaterThanOrEqual(row.interval[0]);
      expect(row.average).toBeLessThanOrEqual(row.interval[1]);
      expect(row.worst).toBe(Math.min(...Object.values(row.tasks)));
      expect(row.entropy).toBeGreaterThan(0);
      expect(row.calibration).toBeGreaterThan(0);
      expect(row.calibration).toBeLessThan(100);
    }
    const directory = join(folder, "runs", "small");
    expect((await readFile(join(directory, "table.md"), "utf8")).split("\n")).toHaveLength(18);
    expect((await readFile(join(directory, "table.csv"), "utf8")).split("\n")[0]).toContain(
      "method,setting,adapted,mnist,letters,average",
    );
    expect(await readFile(join(directory, "table.tex"), "utf8")).toContain("\\toprule");
    const html = await readFile(join(directory, "report.html"), "utf8");
    const sections = ["averages", "tasks", "steps", "table", "needs", "experiment"];
    expect([...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id)).toEqual(sections);
    // Each figure has a form for wide and one for narrow screens.
    expect(html.match(/<svg /g)).toHaveLength(6);
    expect(html).toContain("learned (published, inductive)");
    expect(await readdir(join(directory, "figures"))).toEqual(
      ["averages", "steps", "tasks"].flatMap((name) => [`${name}.png`, `${name}.svg`]),
    );
  });

  it("computes again what a changed setting touches, and nothing else", async () => {
    await run();
    await writeFile(file, experiment(0.2));
    const table = join(folder, "runs", "small", "table.json");
    const before = await stat(table);
    const changed = await run([], undefined, { dryRun: true });
    // A dry run looks: what is there stays as it is, to the time of its files.
    expect((await stat(table)).mtimeMs).toBe(before.mtimeMs);
    expect(changed.missing).toBe(1);
    expect(changed.planned).toEqual([
      expect.objectContaining({ key: expect.stringMatching(/^chosen-suite1-/), row: "chosen", settings: "scale=0.2" }),
    ]);
    expect((await run(["steps=3"], undefined, { dryRun: true })).missing).toBe(5);
  });
});

describe("settings by CMA-ES", () => {
  it("are numbers per task, judged on val, kept after each candidate, and gone on with", async () => {
    const before = file;
    file = join(folder, "evolved.yaml");
    const row =
      "{ name: pcb_es, method: pcb, settings: { ratio: 0.05 }, published: false, evolve: { setting: task_scales, initial: 1, min: 0.8, max: 1.3, evaluations: 9 } }";
    await writeFile(file, `${HEAD}  - ${row}\n`);
    const records = async (): Promise<{ candidates: { settings: { task_scales: number[] }; val: number }[] }[]> => {
      const trials = join(folder, "runs", "evolved", "search");
      const names = await readdir(trials).catch(() => []);
      return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(trials, name), "utf8"))));
    };
    try {
      const abort = new AbortController();
      const first = run([], abort.signal, { search: true });
      await expect
        .poll(async () => (await records())[0]?.candidates.length ?? 0, { timeout: 60_000 })
        .toBeGreaterThan(2);
      abort.abort();
      await first;
      const [stopped] = await records();
      expect(stopped?.candidates.length).toBeLessThan(9);
      const { table, lines } = await run([], undefined, { search: true });
      const [whole] = await records();
      expect(whole?.candidates).toHaveLength(9);
      expect(whole?.candidates.slice(0, stopped?.candidates.length)).toEqual(stopped?.candidates);
      expect(lines.filter((line) => line.includes("/9] "))).toHaveLength(9 - (stopped?.candidates.length ?? 0));
      expect(whole?.candidates[0]?.settings).toEqual({ ratio: 0.05, task_scales: [1, 1] });
      for (const { settings } of whole?.candidates ?? [])
        for (const number of settings.task_scales) expect(Math.abs(number - 1.05)).toBeLessThanOrEqual(0.25 + 1e-12);
      expect(new Set(whole?.candidates.map(({ settings }) => JSON.stringify(settings))).size).toBeGreaterThan(5);
      const best = whole?.candidates.reduce((a, b) => (b.val > a.val ? b : a));
      expect(table.rows[0]).toMatchObject({ setting: "val", evaluations: 9, settings: best?.settings });
    } finally {
      file = before;
    }
  });
});

describe("rows that vary", () => {
  it("are a line for every point, compared at their own point, and drawn against the first setting", async () => {
    const before = file;
    file = join(folder, "curves.yaml");
    await writeFile(
      file,
      `${HEAD}
  - { name: individual, method: individual }
  - name: weight_averaging
    method: weight_averaging
    vary: &experts [{ tasks: [mnist] }, { tasks: [mnist, letters] }]
  - { name: task_arithmetic, method: task_arithmetic, vary: { settings.scale: [0, 1], data.eval_limit: [20, 40] } }
  - name: learned
    fit: [granularity=task-wise]
    seeds: [3]
    vary: *experts
    reported: [{ by: They, average: 50, tasks: { mnist: 90, unknown: 1 }, source: a paper }]
`,
    );
    // The experts that are merged vary; all are judged.
    const { table } = await run(["data.eval_tasks=[mnist, letters]"]).finally(() => {
      file = before;
    });
    const of = (method: string) => table.rows.filter((row) => row.method === method);
    expect(of("task_arithmetic").map(({ point }) => point)).toEqual(
      [0, 1].flatMap((scale) => [20, 40].map((limit) => ({ "settings.scale": scale, "data.eval_limit": limit }))),
    );
    expect(of("task_arithmetic").map(({ settings }) => settings.scale)).toEqual([0, 0, 1, 1]);
    const [one, both] = of("learned");
    const [averagingOne, averagingBoth] = of("weight_averaging");
    expect(one?.averages).toEqual({ merged: one?.tasks.mnist, "left out": one?.tasks.letters });
    expect(both?.averages).toEqual({});
    // Averaging one expert with nothing is that expert.
    expect(averagingOne?.tasks.mnist).toBe(of("individual")[0]?.tasks.mnist);
    expect(one?.gain?.points).toBeCloseTo((one?.average ?? 0) - (averagingOne?.average ?? 0), 10);
    expect(both?.gain?.points).toBeCloseTo((both?.average ?? 0) - (averagingBoth?.average ?? 0), 10);
    const difference = (one?.average ?? 0) - 50;
    expect(one?.reported).toMatchObject([{ difference, differences: { mnist: (one?.tasks.mnist ?? 0) - 90 } }]);
    const directory = join(folder, "runs", "curves");
    const html = await readFile(join(directory, "report.html"), "utf8");
    const sections = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
    expect(sections.slice(0, 2)).toEqual(["against-tasks", "against-scale"]);
    const text = await readFile(join(directory, "table.txt"), "utf8");
    expect(text).toContain("task_arithmetic scale=1 eval_limit=20");
    expect(text).toMatch(/left out .*They +\+\/-/);
  });
});

describe("experiment files", () => {
  it.each([
    ["title: x", /config: expected a text, found nothing/],
    [
      experiment(1).replace("method: individual", "methd: individual"),
      /rows\.0: .*(unknown key `methd`|expected one of `method` and `fit`)/,
    ],
    [experiment(1).replace("name: individual", "name: learned"), /rows: expected every name once, found learned again/],
    [searching("[]"), /rows\.0\.search\.scale: expected at least 1 entries, found \[\]/],
    ["title: [", /:1: not valid YAML/],
    [
      `${HEAD}  - { name: x, method: ties, vary: { settings.scale: [1] }, search: { scale: [1] } }`,
      /rows\.0\.vary: expected one of `vary` and `search`/,
    ],
    [`${HEAD}  - { name: x, method: ties, vary: { settings.scale: 1 } }`, /rows\.0\.vary/],
  ])("%# is refused", async (text, message) => {
    const broken = join(folder, "broken.yaml");
    await writeFile(broken, text);
    const options = { experimentsDir: join(ROOT, "experiments"), presetsDir: "", cwd: folder, overrides: [] };
    await expect(
      reproduce({
        ...options,
        experiment: broken,
        output: folder,
        cacheDir: folder,
        jobs: 1,
        dryRun: true,
        search: false,
        signal: new AbortController().signal,
        log: () => {},
      }),
    ).rejects.toThrow(message);
  });
});
