/**
 * The reports of a fit, an experiment, a sweep and a comparison opened in a real browser, on wide screens and of 420 pixels: every figure is drawn with a
 * size, text is within the page, tables sort and filter, nothing is fetched, no script but the page's own runs.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { writeSweepReport } from "../../src/report/sweep-report.js";
import { inBrowser } from "../support/browser.js";
import { ROOT, runCli, temporaryFolder } from "../support/cli.js";

const FIGURES = [
  ...["change", "accuracy", "coefficients", "depth", "trajectories"],
  ...["objective", "entropy-and-loss", "task-vectors", "gradient-cosine"],
];
/** Averages, tasks, steps of fits, and the curve of a row that varies its scale. */
const EXPERIMENT_FIGURES = ["averages", "tasks", "steps", "against-scale"];
const EXPERIMENT = `title: Small
config: ${JSON.stringify(join(ROOT, "configs", "mini8.yaml"))}
suites: [${JSON.stringify(join(ROOT, "datasets", "mini8", "suite.yaml"))}]
adaptation: [{ name: transductive, split: test }]
rows:
  - { name: weight_averaging, method: weight_averaging }
  - { name: task_arithmetic, method: task_arithmetic, vary: { settings.scale: [0.1, 0.3, 0.5] } }
  - { name: adamerging, fit: [] }
`;
const SCREENS = [
  { width: 1280, theme: "light" },
  { width: 420, theme: "dark" },
] as const;

/** What the browser laid out. */
const LAYOUT = `
  const figures = [...document.querySelectorAll("section > figure")].map((figure) => {
    const shown = [...figure.querySelectorAll(":scope > svg, :scope > img")].filter((each) => each.getBoundingClientRect().width > 0);
    const box = shown[0]?.getBoundingClientRect();
    return { id: figure.parentElement.id, forms: shown.length, width: box?.width ?? 0, height: box?.height ?? 0,
      marks: shown[0]?.querySelectorAll("path, rect, text, line").length ?? 0 };
  });
  const script = document.createElement("script");
  script.textContent = "window.isForeign = true";
  document.body.append(script);
  const text = document.querySelector("figure svg text");
  return { figures, ink: window.getComputedStyle(document.body).color, figureInk: window.getComputedStyle(text).fill,
    overflow: document.documentElement.scrollWidth - window.innerWidth, isForeign: window.isForeign === true,
    requests: window.performance.getEntriesByType("resource").length };`;
const layoutSchema = z.object({
  figures: z.array(
    z.object({ id: z.string(), forms: z.number(), width: z.number(), height: z.number(), marks: z.number() }),
  ),
  ...{ ink: z.string(), figureInk: z.string(), overflow: z.number(), isForeign: z.boolean(), requests: z.number() },
});

it("a fit's report, and a comparison of two", async () => {
  const cwd = await temporaryFolder();
  const settings = ["steps=8", "data.eval_every=2", "data.eval_limit=40", "data.batch_size=2", "save_model=false"];
  const fit = (name: string, ...more: string[]) =>
    runCli(cwd, ["fit", join(ROOT, "configs", "mini8.yaml"), ...settings, ...more, "experiment=e", `name=${name}`]);
  const fitted = await fit("n", "data.gradient_images=8");
  expect(fitted.code, fitted.stderr).toBe(0);
  await lookAt(join(cwd, "runs", "e", "n", "report.html"), FIGURES);

  const second = await fit("task", "granularity=task-wise");
  expect(second.code, second.stderr).toBe(0);
  const compared = await runCli(cwd, ["report", "runs/e/n", "runs/e/task"]);
  expect(compared.code, compared.stderr).toBe(0);
  const page = join(cwd, "runs", "e", "comparison.html");
  expect(compared.stdout.trim().split("\n").at(-1)).toBe(page);
  await lookAt(page, ["averages", "steps", "tasks", "mean-coefficients"]);
});

it("an experiment's report", async () => {
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, "small.yaml"), EXPERIMENT);
  const settings = ["steps=4", "data.eval_every=2", "data.eval_limit=40", "data.batch_size=2"];
  const made = await runCli(cwd, ["reproduce", "small.yaml", ...settings]);
  expect(made.code, made.stderr).toBe(0);
  await lookAt(join(cwd, "runs", "small", "report.html"), EXPERIMENT_FIGURES);
});

/** Opens a report on each screen and checks what the browser laid out. */
async function lookAt(report: string, figures: readonly string[]): Promise<void> {
  for (const { width, theme } of SCREENS) {
    const seen = await inBrowser(report, { width, theme, look: LAYOUT });
    const found = layoutSchema.parse(seen.found);
    // The script that the test put in was refused, and nothing else was said.
    expect(seen.console).toEqual([
      expect.stringMatching(/inline script violates the following Content Security Policy/),
    ]);
    const { ink } = found;
    expect(found).toMatchObject({ requests: 0, isForeign: false, overflow: expect.toSatisfy((over) => over <= 0) });
    for (const name of figures) {
      const figure = found.figures.find(({ id }) => id === name);
      expect(figure, `${name} among ${found.figures.map(({ id }) => id).join(", ")}`).toMatchObject({ forms: 1 });
      expect(figure?.width, name).toBeGreaterThan(150);
      expect(figure?.height, name).toBeGreaterThan(50);
      expect(figure?.marks, name).toBeGreaterThan(10);
    }
    // The figures' text takes the page's colour, which is light on dark and dark on light.
    expect(found.figureInk).toBe(ink);
    expect(Number(/\d+/.exec(ink)?.[0]) > 128).toBe(theme === "dark");
  }
}

it("tables sort and filter, headings stay in view and explain themselves", async () => {
  const folder = await temporaryFolder();
  await mkdir(folder, { recursive: true });
  const trials = Array.from({ length: 12 }, (_, index) => ({
    trial: `t${index}`,
    state: index === 3 ? "failed" : "finished",
    parameters: {
      "optimizer.learning_rate": [1e-3, 1e-2, 0.1][index % 3],
      granularity: index < 6 ? "task-wise" : "layer-wise",
    },
    step: 10,
    // As texts 9.5 would stand after 10.5.
    value: index === 3 ? null : 20.5 - index,
    metrics: { "eval/acc/<img src=x onerror=alert(1)>": index },
    ...{ seconds: index, error: index === 3 ? "it died" : null },
  }));
  const points = trials.flatMap(({ trial, parameters, value }) =>
    value === null ? [] : [{ trial, parameters, value }],
  );
  const figures = { metric: "eval/acc", goal: "maximize" as const, points };
  const page = await writeSweepReport(folder, { name: "s", figures, trials, file: "a: 1", state: "12 trials" });
  const look = `
    const table = document.querySelector("#table table");
    const names = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
    const heading = (text) => [...table.tHead.rows[1].cells].find((cell) => cell.textContent === text);
    const sorted = {};
    const value = heading("eval/acc");
    for (const state of ["first", "second", "third"]) {
      value.querySelector("button").click();
      sorted[state] = { order: names(), aria: value.getAttribute("aria-sort") };
    }
    heading("trial").querySelector("button").click();
    sorted.text = names();
    heading("trial").querySelector("button").click();
    heading("trial").querySelector("button").click();
    const [search, select] = [document.querySelector("#table input"), [...document.querySelectorAll("#table select")]];
    const change = (element, to) => { element.value = to; element.dispatchEvent(new window.Event("input", { bubbles: true })); };
    const state = select.find((each) => each.options[0].textContent.startsWith("state"));
    change(search, "TASK-wise 0.01");
    const searched = names();
    const count = document.querySelector("#table output").textContent;
    change(search, "");
    change(state, [...state.options].find(({ value }) => value.startsWith("failed")).value);
    const chosen = names();
    const button = value.querySelector("button");
    const box = button.getBoundingClientRect();
    const at = { bubbles: true, clientX: box.x + 2, clientY: box.y + 2 };
    button.dispatchEvent(new window.PointerEvent("pointermove", at));
    const tip = document.querySelector("#tooltip");
    const explained = { text: tip.textContent, hidden: tip.hidden, by: value.getAttribute("aria-describedby") };
    document.dispatchEvent(new window.KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    const isHiddenAgain = tip.hidden && value.getAttribute("aria-describedby") === null;
    const mark = document.querySelector("#parameters svg [data-tip]");
    mark.dispatchEvent(new window.PointerEvent("pointermove", at));
    const scroll = table.parentElement;
    change(state, "");
    scroll.style.maxHeight = "150px";
    scroll.scrollTop = 120;
    const sticky = value.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
    return { sorted, searched, count, chosen, explained, isHiddenAgain, ofMark: tip.textContent,
      sticky, images: document.images.length };`;
  const { found, console } = await inBrowser(page, { width: 420, theme: "light", look });
  expect(console).toEqual([]);
  const given = trials.map(({ trial }) => trial);
  const known = given.filter((trial) => trial !== "t3");
  expect(found).toMatchObject({
    sorted: {
      first: { order: [...known, "t3"], aria: "descending" },
      second: { order: [...known.toReversed(), "t3"], aria: "ascending" },
      third: { order: given, aria: null },
      text: [...given].sort(),
    },
    searched: ["t1", "t4"],
    count: "2 of 12 rows",
    chosen: ["t3"],
    explained: { text: expect.stringContaining("By which the trials are ranked"), hidden: false, by: "tooltip" },
    isHiddenAgain: true,
    // Under the row of groups, though the rows have moved.
    sticky: expect.toSatisfy((pixels) => pixels > 15 && pixels < 40),
    ofMark: expect.stringMatching(/\d/),
    // A name that would be an image is text.
    images: 0,
  });
});
