/** The reports of a fit and of an experiment opened in a real browser: every figure is drawn with a size, text is within the page, nothing is fetched. */
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, runCli, temporaryFolder } from "../support/cli.js";

const FIGURES = [
  "accuracy",
  "objective",
  "entropy-and-loss",
  "coefficients",
  "depth",
  "trajectories",
  "task-vectors",
  "gradient-cosine",
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
/** Writes what the browser laid out where --dump-dom shows it. */
const PROBE = `<script>
  const measured = [...document.querySelectorAll("section")].map((section) => {
    const svg = section.querySelector("svg");
    const box = svg?.getBoundingClientRect();
    const marks = svg?.querySelectorAll("path, rect, text, line").length ?? 0;
    return { id: section.id, width: box?.width ?? 0, height: box?.height ?? 0, marks };
  });
  const ink = getComputedStyle(document.body).color;
  const text = document.querySelector("section svg text");
  document.body.dataset.probe = JSON.stringify({ measured, ink, figureInk: getComputedStyle(text).fill,
    overflow: document.documentElement.scrollWidth > innerWidth, requests: performance.getEntriesByType("resource").length });
</script>`;

it.each(["light", "dark"])("a fit's report in chromium, %s", async (theme) => {
  const cwd = await temporaryFolder();
  const settings = ["steps=8", "data.eval_every=2", "data.eval_limit=40", "data.batch_size=2", "save_model=false"];
  const gradients = "data.gradient_images=8";
  const fit = await runCli(cwd, [
    ...["fit", join(ROOT, "configs", "mini8.yaml"), ...settings, gradients],
    ...["experiment=e", "name=n"],
  ]);
  expect(fit.code, fit.stderr).toBe(0);
  await lookAt(join(cwd, "runs", "e", "n", "report.html"), theme, FIGURES);
});

it("an experiment's report in chromium", async () => {
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, "small.yaml"), EXPERIMENT);
  const settings = ["steps=4", "data.eval_every=2", "data.eval_limit=40", "data.batch_size=2"];
  const made = await runCli(cwd, ["reproduce", "small.yaml", ...settings]);
  expect(made.code, made.stderr).toBe(0);
  await lookAt(join(cwd, "runs", "small", "report.html"), "light", EXPERIMENT_FIGURES);
});

/** Opens a report and checks what the browser laid out. */
async function lookAt(report: string, theme: string, figures: readonly string[]): Promise<void> {
  const probed = `${report}.probed.html`;
  await writeFile(probed, (await readFile(report, "utf8")).replace("</body>", `${PROBE}</body>`));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,800", "--dump-dom"];
  const dark = theme === "dark" ? ["--blink-settings=preferredColorScheme=0"] : [];
  const browser = spawnSync("chromium", [...args, ...dark, `file://${probed}`], { encoding: "utf8", timeout: 120_000 });
  expect(browser.status, String(browser.error ?? browser.stderr)).toBe(0);
  const found = /data-probe="([^"]+)"/.exec(browser.stdout)?.[1]?.replaceAll("&quot;", '"');
  const { measured, ink, figureInk, overflow, requests } = JSON.parse(found ?? "null");
  expect(requests).toBe(0);
  expect(overflow).toBe(false);
  for (const name of figures) {
    const figure = measured.find(({ id }: { id: string }) => id === name);
    expect(figure, `${name} among ${measured.map(({ id }: { id: string }) => id).join(", ")}`).toBeDefined();
    expect(figure.width, name).toBeGreaterThan(150);
    expect(figure.height, name).toBeGreaterThan(80);
    expect(figure.marks, name).toBeGreaterThan(10);
  }
  // The figures' text takes the page's colour, which is light on dark and dark on light.
  expect(figureInk).toBe(ink);
  const brightness = /\d+/.exec(ink)?.[0];
  expect(Number(brightness) > 128).toBe(theme === "dark");
}
