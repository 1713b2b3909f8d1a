import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configFingerprint, formatConfig } from "../../src/config/format.js";
import { loadRunConfig, parseRunConfig } from "../../src/config/load.js";
import { ConfigError } from "../../src/errors.js";

const presetsDir = path.resolve(import.meta.dirname, "../../configs/presets");
let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), "adamerge-config-"));
});
afterEach(() => rm(cwd, { recursive: true }));

async function load(files: Record<string, string>, overrides: string[] = [], presets = presetsDir) {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(cwd, name)), { recursive: true });
    await writeFile(path.join(cwd, name), text);
  }
  return loadRunConfig(Object.keys(files)[0] ?? "missing.yaml", overrides, { presetsDir: presets, cwd });
}

async function failure(files: Record<string, string>, overrides: string[] = []): Promise<string> {
  const error = await load(files, overrides).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return error instanceof Error ? error.message : "";
}

test("only the suite is required; it is relative to the file, the experiment is the file's name", async () => {
  const { config, sources } = await load({ "sub/my run.yaml": "suite: ../suites/mini\n" });
  expect(config.suite).toBe(path.join(cwd, "suites/mini"));
  expect(config.output).toBe(path.join(cwd, "runs"));
  expect(config.experiment).toBe("my-run");
  expect(config).toMatchObject({ steps: 500, seed: 0, coefficients: { initial: 0.3, constraint: "clamp" } });
  expect(sources.get("suite")).toBe("sub/my run.yaml:1");
  expect(sources.has("steps")).toBe(false);
});

test("the file wins over what it extends, overrides win over the file", async () => {
  const files = {
    "a.yaml": "extends: [presets/paper, ./b.yaml]\nsuite: s\nsteps: 7\n",
    "b.yaml": "steps: 9\noptimizer: {learning_rate: 1e-2, beta1: 0.8}\n",
  };
  const { config, sources } = await load(files, ["optimizer.beta1=0.5", "name=7", "suite=else/where", "~data"]);
  expect(config.steps).toBe(7);
  expect(config.share_qkv).toBe(true);
  expect(config.optimizer).toMatchObject({ learning_rate: 0.01, beta1: 0.5, beta2: 0.999 });
  expect(config.data.batches_per_task).toBe(1);
  expect(config.name).toBe("7");
  expect(config.suite).toBe(path.join(cwd, "else/where"));
  expect(sources.get("optimizer.learning_rate")).toBe("b.yaml:2");
  expect(sources.get("optimizer.beta1")).toBe("override optimizer.beta1=0.5");
  expect(sources.get("share_qkv")).toMatch(/configs\/presets\/paper\.yaml:\d+$/);
});

test("every mistake is told at once, with file and line and the nearest key", async () => {
  const text = [
    "suite: s",
    "optimiser: {}",
    "optimizer:",
    "  lr: 1",
    "  beta1: 2",
    "steps: .inf",
    "coefficients: {min: 0.5}",
    "granularity: layer",
    "groups: [{name: a, match: [x], scale: 2}]",
  ].join("\n");
  expect(await failure({ "c.yaml": text }, ["data.batch=3", "seed=-1"])).toBe(
    [
      "9 problems in the configuration:",
      "  c.yaml:2: unknown key `optimiser`; did you mean `optimizer`?",
      "  c.yaml:4: unknown key `optimizer.lr`; did you mean `optimizer.learning_rate`?",
      "  override data.batch=3: unknown key `data.batch`; known here: adapt_split, adapt_limit, adapt_per_class, eval_split, eval_tasks, corruption, corruption_severity, batch_size, batches_per_task, eval_batch_size, eval_every, gradient_images, eval_limit, cache_gb",
      '  c.yaml:8: granularity: expected one of task-wise, block-wise, layer-wise, groups, found "layer"',
      "  c.yaml:9: groups.0: unknown key `scale`",
      "  c.yaml: coefficients.initial: expected a value in the clamp range 0.5..1, found 0.3",
      "  c.yaml:5: optimizer.beta1: expected a number < 1, found 2",
      "  c.yaml:6: steps: expected a number, found Infinity",
      "  override seed=-1: seed: expected a number >= 0, found -1",
    ].join("\n"),
  );
});

test.each([
  ["suite: a\nsteps: 1\nsuite: b\n", "c.yaml:3: this key is set a second time; keep one of the two"],
  ["suite: &a x\nexperiment: *a\n", "c.yaml:2: alias *a: write the value out instead"],
  ["suite: a\n---\nsuite: b\n", "c.yaml:2: expected one YAML document, found a second (`---`); split the file"],
  ["suite: !!js/function x\n", "c.yaml:1: not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function"],
  ["- suite\n", "c.yaml:1: expected `key: value` lines, found another kind of YAML"],
  ["steps: 3\n", "c.yaml: suite: expected the path of a suite directory, found none; add `suite: PATH`"],
  ["suite: s\n__proto__: {steps: 3}\n", "c.yaml:2: unknown key `__proto__`"],
  ["suite: s\noptimizer.beta1: 0.5\n", "c.yaml:2: unknown key `optimizer.beta1`"],
  ["suite: s\nlearning_rate: 1\n", "c.yaml:2: unknown key `learning_rate`; did you mean `optimizer.learning_rate`?"],
  [
    "suite: s\nextends: papper\n",
    "c.yaml:2: no preset named `papper`; known: adamerge, adamerge-rows, adarank, fusionbench, paper, quickstart, samerging, surgery, symerge; did you mean presets/paper?",
  ],
  ["suite: s\nextends: ./c.yaml\n", "c.yaml:2: extends goes round in a circle: c.yaml -> c.yaml"],
  ["suite: s\nextends: ./d.yaml\n", "d.yaml: cannot read what c.yaml:2 extends: no such file; there are: c.yaml"],
  [
    "suite: s\ngranularity: groups\n",
    "c.yaml: groups: expected at least one group {name, match} with granularity groups, found none",
  ],
  [
    "suite: s\ngranularity: groups\ngroups:\n  - {name: a, match: [x]}\n  - name: rest\n    match: [y]\n",
    "c.yaml:5: groups.1.name: expected a name of its own, found `rest` is the name of the default group",
  ],
  [
    "suite: s\nsteps: 5\noptimizer: {warmup_steps: 5}\n",
    "c.yaml:3: optimizer.warmup_steps: expected fewer warm-up steps than steps (5), found 5",
  ],
  [
    "suite: s\nengine: tfjs\ndevice: cuda\n",
    "c.yaml:3: device: expected one of auto, cpu, wasm, tensorflow with engine tfjs, found cuda",
  ],
  [
    "suite: s\ncoefficients: {min: 1, max: 0}\n",
    "c.yaml:2: coefficients.min: expected min < max with constraint clamp, found min 1 and max 0",
  ],
  [
    "suite: s\nname: ../up\n",
    'c.yaml:2: name: expected letters, digits and . _ + = - only, starting with a letter or digit, found "../up"',
  ],
])("%j", async (text, message) => {
  expect(await failure({ "c.yaml": text })).toContain(message);
});

test.each([
  ["steps", "override steps: expected key=value or ~key, found neither"],
  ["+lr=1", "override +lr=1: keys cannot be added; write lr=... to set one of those that `adamerge config show` lists"],
  [
    "optimizer=adam",
    "override optimizer=adam: `optimizer` is a section; set one of its keys, e.g. optimizer.name=..., or reset it with ~optimizer",
  ],
  ["~stepz", "override ~stepz: unknown key `stepz`; did you mean `steps`?"],
  ["tasks=[a", "override tasks=[a: not valid YAML"],
  ["tasks=[a, a]", "override tasks=[a, a]: tasks.1: expected every task once, found a again"],
])("override %s", async (override, message) => {
  expect(await failure({ "c.yaml": "suite: s\n" }, [override])).toContain(message);
});

test("a missing config names its neighbours", async () => {
  await writeFile(path.join(cwd, "mini.yaml"), "");
  await expect(loadRunConfig("min.yaml", [], { presetsDir, cwd })).rejects.toThrow(
    "min.yaml: cannot read the config: no such file; there are: mini.yaml",
  );
});

test("config show loads back to the same configuration, with and without sources", async () => {
  const overrides = [
    "granularity=groups",
    "groups=[{name: a, match: ['*.mlp.*', \"it's # x\"]}]",
    "optimizer.epsilon=1e-9",
  ];
  const { config, sources } = await load({ "c.yaml": "suite: 's # 1'\nextends: fusionbench\n" }, overrides);
  for (const text of [formatConfig(config), formatConfig(config, sources)]) {
    const again = await load({ "again/config.yaml": text });
    expect(again.config).toEqual(config);
    expect(configFingerprint(again.config)).toBe(configFingerprint(config));
  }
  expect(formatConfig(config, sources)).toContain("steps: 1000  # ");
  expect(formatConfig(config, sources)).toContain("seed: 0  # default");
});

test("the fingerprint follows values, not the order of keys", () => {
  const config = parseRunConfig({ suite: "s", steps: 3 });
  expect(configFingerprint(parseRunConfig({ steps: 3, suite: "s" }))).toBe(configFingerprint(config));
  expect(configFingerprint(parseRunConfig({ steps: 4, suite: "s" }))).not.toBe(configFingerprint(config));
  expect(configFingerprint(config)).toMatch(/^[0-9a-f]{64}$/);
  expect(() => parseRunConfig({ suite: "s", steps: 0 })).toThrow("config key steps: expected a number >= 1, found 0");
});
