import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCli } from "../../src/cli/cli.js";
import type { CliIo } from "../../src/cli/io.js";
import { type Library, library as real } from "../../src/cli/library.js";
import { NumericError } from "../../src/errors.js";
import type { ExportedOnnx, FitPlan, FitResult, InitFindings, Predictor } from "../../src/index.js";
import { cacheDirectory } from "../../src/library/surroundings.js";
import { resultRow } from "../../src/report/summary.js";
import { coefficientsText } from "../../src/track/coefficients-file.js";

const packageRoot = path.resolve(import.meta.dirname, "../..");
const row = resultRow("adamerging", ["a", "b"], [50, 70]);
const plan: FitPlan = {
  suite: "s",
  tasks: ["a"],
  coefficients: 2,
  steps: 3,
  needs: {
    memoryBytes: 1,
    freeMemoryBytes: 1,
    passes: 1,
    examples: "images",
    imagesPerStep: 1,
    bundleBytes: 1,
    modelBytes: 1,
    freeCacheBytes: 1,
    freeOutputBytes: 1,
  },
  stepSeconds: 2,
  evaluationSeconds: 1,
  totalSeconds: 9,
};
const findings: InitFindings = {
  experts: [],
  examples: [],
  heads: [],
  assumed: ["a: one way", "b: one way", "b: another"],
  warnings: ["look out"],
  plan,
  files: ["suite.yaml", "config.yaml"],
};
/** Whoever reads stdout leaves after so many letters. */
const MOST_READ = 100_000;
/** Of two examples the second cannot be read. */
const predictor: Predictor = {
  kind: "image",
  classes: new Map([["pets", ["cat", "dog"]]]),
  predict: async function* () {
    yield { source: "a.png", predictions: [{ task: "pets", labels: [{ label: "cat", probability: 0.75 }] }] };
    yield { source: "b,c.png", error: "expected an image" };
  },
  close: async () => {},
};
const exported: ExportedOnnx = {
  files: ["/work/m.onnx", "/work/m.onnx.data"],
  bytes: 3e9,
  inputs: new Map([["pixel_values", ["batch_size", 3, 224, 224]]]),
  outputs: new Map([["features", ["batch_size", 512]]]),
  metadata: new Map(),
};
let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), "adamerge-cli-"));
  await writeFile(path.join(cwd, "c.yaml"), "suite: s\n");
});
afterEach(() => rm(cwd, { recursive: true }));

interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

const learned = { granularity: "task-wise", tasks: ["a"], groups: ["all"], values: [[0.5]], groupOf: {} };
const fitted: FitResult = {
  ...{ runPath: "/runs/c/default", rows: [row], reason: "finished", coefficients: learned },
  gains: [{ method: row.method, over: "weight_averaging", points: -1.4, interval: [-2.5, -0.3] }],
};

/** Runs a command line against a library whose long verbs only note their calls. */
async function run(
  line: string,
  changes: Partial<Library> = {},
  signal = new AbortController().signal,
  refused = new AbortController(),
) {
  const calls: Call[] = [];
  let stdout = "";
  let stderr = "";
  const note =
    <R>(name: string, result: R) =>
    async (...args: unknown[]): Promise<R> => {
      calls.push({ name, args });
      return result;
    };
  const evaluated = { row, predictions: { split: "test", methods: {} } };
  const library: Library = {
    ...real,
    fit: note("fit", fitted),
    resume: note("resume", fitted),
    init: note("init", findings),
    planFit: note("planFit", plan),
    sync: note("sync", [{ runId: "r", url: "http://server", points: 3, files: 1 }]),
    evaluate: note("evaluate", evaluated),
    evaluateModel: note("evaluateModel", evaluated),
    exportOnnx: note("exportOnnx", exported),
    openPredictor: note("openPredictor", predictor),
    merge: note("merge", "/out"),
    mergeModels: note("mergeModels", { reason: "finished" as const, writtenBytes: 1e9, seconds: 2 }),
    convertCoefficients: note("convertCoefficients", learned),
    report: note("report", "/runs/c/default/report.html"),
    compareRuns: note("compareRuns", "/runs/c/comparison.html"),
    quickstart: note("quickstart", {
      summary: { suite: "mini8", engine: "onnx", device: "cpu", seconds: 1, rows: [row] },
      gains: [{ method: "learned", over: "weight_averaging", points: 1.25, interval: [-0.5, 3] as const }],
      changed: undefined,
      runPath: "/runs/quickstart/learned",
      reportPath: "/runs/quickstart/report.html",
    }),
    doctor: note("doctor", [{ name: "onnx", ok: false, detail: "no", advice: "install it" }]),
    ...changes,
  };
  const io: CliIo = {
    stdout: {
      write: (text) => {
        stdout += text;
        if (stdout.length > MOST_READ) refused.abort();
      },
    },
    stderr: { write: (text) => (stderr += text) },
    env: { ADAMERGE_CACHE: "/cache" },
    cwd,
    packageRoot,
    signal,
    refused: refused.signal,
    library,
  };
  const code = await runCli(line.split(" ").filter(Boolean), io);
  return { code, stdout, stderr, calls };
}

test("fit resolves the config, passes the options on and prints the table", async () => {
  const { code, stdout, calls } = await run("fit c.yaml steps=3 ~seed --overwrite");
  expect(code).toBe(0);
  expect(stdout).toBe(
    "method      average      a      b\n----------  -------  -----  -----\nadamerging    60.00  50.00  70.00\n\n" +
      "over weight_averaging, in points (95 % interval, paired by example):\n  adamerging   -1.4  (-2.5 to -0.3)\n" +
      "the model is worse than the plain mean of the experts (docs/troubleshooting.md says what helps)\n" +
      "run: /runs/c/default\n",
  );
  expect(calls).toMatchObject([
    {
      name: "fit",
      args: [
        { config: { steps: 3, suite: path.join(cwd, "s"), experiment: "c" } },
        { overwrite: true, env: { ADAMERGE_CACHE: "/cache" }, cwd },
      ],
    },
  ]);
});

test("--quiet prints the path, --json the result, an interrupted fit exits with 130", async () => {
  expect((await run("fit c.yaml -q")).stdout).toBe("/runs/c/default\n");
  expect(JSON.parse((await run("fit c.yaml --json")).stdout)).toEqual({
    runPath: "/runs/c/default",
    reason: "finished",
    rows: [row],
    gains: fitted.gains,
  });
  const fit: Library["fit"] = async () => ({ ...fitted, runPath: "/r", rows: [], gains: [], reason: "interrupted" });
  expect(await run("fit c.yaml", { fit })).toMatchObject({ code: 130, stdout: "run: /r\n" });
});

test("a dry run fits nothing", async () => {
  const { stdout, calls } = await run("fit c.yaml --dry-run");
  expect(calls.map(({ name }) => name)).toEqual(["planFit"]);
  expect(stdout).toContain("time: about 9 s in all: 3 steps of 2.0 s");
  expect((await run("fit --resume r --dry-run")).stderr).toMatch(/--resume: expected alone/);
});

test("init takes flags again and again, and refuses what is not there", async () => {
  const line = "init --base base --expert models --images one=c.yaml --images b-2=b --head one=zero-shot out";
  const { code, calls, stdout, stderr } = await run(line);
  expect(stderr).toBe("warning: look out\n");
  expect(stdout).toContain("  a, b: one way\n  b: another\n");
  expect(stdout).toContain("wrote out/suite.yaml, out/config.yaml\nnext: adamerge fit out/config.yaml\n");
  expect(code).toBe(0);
  const given = { base: "base", experts: ["models"], images: ["one=c.yaml", "b-2=b"], heads: ["one=zero-shot"] };
  expect(calls).toMatchObject([{ name: "init", args: ["out", { ...given, force: false, dryRun: false, cwd }] }]);
  const alone = await run("init --base org/base --expert models/b_2 --expert x=org/x --dry-run --json");
  expect(JSON.parse(alone.stdout)).toMatchObject({ files: ["suite.yaml", "config.yaml"], warnings: ["look out"] });
  expect((await run("init")).stderr).toMatch(/expected --base PATH/);
  for (const name of ["base", "b"]) await mkdir(path.join(cwd, name));
  const failing = async (flags: string) => (await run(`init ${flags}`, { init: real.init })).stderr;
  expect(await failing("--base base --images b")).toMatch(/--images b: expected NAME=PATH, or a folder with/);
  expect(await failing("--base gone")).toMatch(/--base gone: expected an existing path, found nothing/);
  expect(await failing("--base base --expert one=b --text-model gone")).toMatch(
    /--text-model gone: expected an existing path/,
  );
  expect(await failing("--base base --expert !=b")).toMatch(/--expert !: expected a name with letters or digits/);
});

test("progress goes to stderr", async () => {
  const fit: Library["fit"] = async (_, { onEvent, log } = {}) => {
    log?.("a word");
    onEvent?.({ type: "end", step: 1, reason: "finished", seconds: 1 });
    return { ...fitted, runPath: "/r", rows: [], gains: [] };
  };
  expect(await run("fit c.yaml", { fit })).toMatchObject({
    stdout: "run: /r\n",
    stderr: "a word\nfinished after step 1, 1 s\n",
  });
  expect((await run("fit c.yaml --quiet", { fit })).stderr).toBe("");
});

test("predict prints each row in the form that is asked, and says with its code that some could not be read", async () => {
  const table = await run("predict model a.png b,c.png --task pets --top 2");
  expect(table.code).toBe(3);
  expect(table.stdout).toBe(
    "label        %  example\ncat     75.0 %  a.png\n-            -  b,c.png: expected an image\n",
  );
  expect(table.stderr).toBe("adamerge: 1 of 2 images could not be read; it is b,c.png: expected an image\n");
  expect(table.calls[0]?.args).toMatchObject([
    path.join(cwd, "model"),
    { tasks: ["pets"], device: "auto", threads: 0 },
  ]);
  const csv = await run("predict model a.png --format csv");
  expect(csv.stdout).toBe(
    'source,task,rank,label,probability,error\na.png,pets,1,cat,0.75,\n"b,c.png",,,,,expected an image\n',
  );
  const lines = (await run("predict model a.png --format jsonl")).stdout.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { source: "a.png", predictions: [{ task: "pets", labels: [{ label: "cat", probability: 0.75 }] }] },
    { source: "b,c.png", error: "expected an image" },
  ]);
});

test("export passes its options on, prints the file and says what goes in and comes out", async () => {
  const { code, stdout, stderr, calls } = await run("export model -o m.onnx --task pets --dtype float16");
  expect([code, stdout]).toEqual([0, "/work/m.onnx\n"]);
  expect(calls).toMatchObject([
    {
      name: "exportOnnx",
      args: ["model", { cwd, output: "m.onnx", task: "pets", dtype: "float16", overwrite: false }],
    },
  ]);
  expect(stderr).toContain("input   pixel_values [batch_size, 3, 224, 224]\noutput  features [batch_size, 512]\n");
  expect(stderr).toContain("wrote 3.00 GB, weights in /work/m.onnx.data\n");
  expect((await run("export model -o m.onnx --quiet")).stderr).toBe("");
});

test("predict ends when nobody reads what it prints, or is interrupted", async () => {
  let isClosed = false;
  const endless = (signal: AbortSignal | undefined): Predictor => ({
    ...predictor,
    predict: async function* () {
      for (;;) {
        signal?.throwIfAborted();
        yield { source: "a.png", predictions: [{ task: "pets", labels: [{ label: "cat", probability: 1 }] }] };
      }
    },
    close: async () => {
      isClosed = true;
    },
  });
  const openPredictor: Library["openPredictor"] = async (_, { signal } = {}) => endless(signal);
  const { code, stderr } = await run("predict model a.png", { openPredictor });
  // main.ts knows why, and with which code the process ends.
  expect([code, stderr, isClosed]).toEqual([0, "", true]);
  const interrupted = await run("predict model a.png", { openPredictor }, AbortSignal.abort());
  expect([interrupted.code, interrupted.stdout]).toEqual([130, ""]);
});

test("eval of a folder takes it for a saved model", async () => {
  await mkdir(path.join(cwd, "merged"));
  const own = await run("eval merged --data pets=photos/pets --data cars=c.csv --split val");
  expect([own.code, own.stdout.split("\n")[0]]).toEqual([0, "method      average      a      b"]);
  const data = ["pets=photos/pets", "cars=c.csv"];
  expect(own.calls).toMatchObject([
    { name: "evaluateModel", args: [path.join(cwd, "merged"), { data, split: "val", cwd }] },
  ]);
  const suite = await run("eval merged --suite s --quiet");
  expect(suite.stdout).toBe("60.00\n");
  expect(suite.calls).toMatchObject([{ args: [path.join(cwd, "merged"), { suite: "s" }] }]);
});

test("eval and merge pass on what is judged and merged", async () => {
  const evaluated = await run("eval c.yaml --coefficients . --predictions p.json");
  expect(evaluated.calls[0]?.args.slice(1)).toMatchObject([{ coefficients: "." }, { predictions: "p.json", cwd }]);
  const linear = await run("eval c.yaml --method linear --set weights=[0.4,0.1],normalize=true --json");
  expect(linear.calls[0]?.args[1]).toEqual({
    method: "linear",
    settings: { weights: [0.4, 0.1], normalize: true },
  });
  expect(JSON.parse(linear.stdout)).toEqual(row);
  expect((await run("eval c.yaml --method ties")).calls[0]?.args[1]).toEqual({ method: "ties", settings: {} });
  const merged = await run("merge c.yaml --coefficients coefficients.json -o out");
  expect(merged.calls[0]?.args[1]).toMatchObject({
    coefficients: "coefficients.json",
    output: path.join(cwd, "out"),
    cwd,
  });
  expect(merged.stdout).toBe(`${path.join(cwd, "out")}\n`);
});

test("configs and merge files that ship, by name from any folder", async () => {
  const config = path.join(packageRoot, "configs/mini8.yaml");
  const suite = path.join(packageRoot, "datasets/mini8");
  expect((await run("fit mini8")).calls).toMatchObject([
    { name: "fit", args: [{ config: { suite, experiment: "mini8", output: path.join(cwd, "runs") } }, {}] },
  ]);
  expect((await run("eval mini8 --method ties")).calls[0]?.args[0]).toMatchObject({ config: { suite } });
  expect((await run("config show mini8")).stdout).toContain(`suite: ${suite}`);
  await writeFile(path.join(cwd, "coefficients.json"), "{}");
  const learned = await run("merge mini8 --coefficients coefficients.json -o out");
  expect(learned.calls).toMatchObject([{ name: "merge", args: [{ path: config }, {}] }]);
  const converted = await run("coefficients mini8 --from coefficients.json -o c.npy");
  expect(converted.calls[0]?.args[0]).toMatchObject({ path: config });
  expect((await run("merge mini8 -o out")).calls).toMatchObject([
    {
      name: "mergeModels",
      args: [path.join(packageRoot, "configs/merges/mini8.yaml"), { output: path.join(cwd, "out"), threads: 0 }],
    },
  ]);
  expect((await run("pull mini8 --dry-run")).stdout).toContain("there is nothing to download");
  expect(await run("fit mini9")).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean mini8, ") });
});

test("quickstart and doctor", async () => {
  const { stdout, calls } = await run("quickstart");
  expect(stdout).toContain("learned   +1.3  (-0.5 to +3.0)");
  expect(stdout).toContain("suite mini8, engine onnx on cpu, 1.0 s\nopen first: /runs/quickstart/report.html (");
  expect(calls[0]?.args[0]).toMatchObject({ suite: "text8", output: path.join(cwd, "runs"), cwd });
  expect((await run("quickstart --suite mini8")).calls[0]?.args[0]).toMatchObject({ suite: "mini8" });
  expect(await run("doctor")).toMatchObject({ code: 1, stdout: "fail  onnx  no\n            -> install it\n" });
});

test("report of one run is its page, of several also a comparison", async () => {
  expect((await run("report runs/c/a")).calls.map(({ name }) => name)).toEqual(["report"]);
  const { stdout, calls } = await run("report runs/c/a runs/c/b -o both.html");
  expect(stdout.split("\n").slice(-2)).toEqual(["/runs/c/comparison.html", ""]);
  expect(calls.map(({ name }) => name)).toEqual(["report", "report", "compareRuns"]);
  expect(calls[2]?.args).toMatchObject([["runs/c/a", "runs/c/b"], { cwd, file: "both.html" }]);
  const told = await run("report runs/c/a runs/c/b --json");
  expect(JSON.parse(told.stdout)).toEqual({
    reports: ["/runs/c/default/report.html", "/runs/c/default/report.html"],
    comparison: expect.stringContaining("html"),
  });
});

test("inspect shows coefficients as a table and as JSON", async () => {
  const record = {
    granularity: "layer-wise",
    tasks: ["a", "b"],
    groups: ["x", "y"],
    values: [
      [0.5, 0],
      [1, 1],
    ],
    groupOf: {},
  };
  await writeFile(path.join(cwd, "coefficients.json"), coefficientsText(record));
  const { stdout } = await run("inspect .");
  expect(stdout).toContain(
    "group (layer-wise)       a       b\n------------------  ------  ------\nx                   0.5000  1.0000\n",
  );
  expect(stdout).toContain("a                0.2500  0.0000  0.5000  50.0 %");
  expect(JSON.parse((await run("inspect coefficients.json --json")).stdout)).toEqual(record);
});

test("inspect shows the tensors of a checkpoint from its header", async () => {
  const header = JSON.stringify({ w: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] } });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const bytes = Buffer.alloc(8 + padded.length + 24);
  bytes.writeBigUInt64LE(BigInt(padded.length));
  bytes.write(padded, 8);
  await writeFile(path.join(cwd, "model.safetensors"), bytes);
  const { stdout } = await run("inspect model.safetensors");
  expect(stdout).toBe(
    "tensor  dtype  shape  bytes\n------  -----  -----  -----\nw         F32  2 x 3     24\n\n1 tensors, 6 elements, 0.0 MB in 1 file(s)\n",
  );
});

test("config show", async () => {
  expect((await run("config show c.yaml steps=3 --source")).stdout).toContain("steps: 3  # override steps=3");
  expect(JSON.parse((await run("config show --json-schema")).stdout)).toMatchObject({ type: "object" });
});

test.each([
  ["", 2, "expected a verb, found none; `adamerge --help` lists them"],
  ["fitt c.yaml", 2, "unknown verb `fitt`; did you mean `adamerge fit`?"],
  ["config", 2, "config: expected `adamerge config show`, found no second word"],
  ["config shwo c.yaml", 2, "unknown verb `config shwo`; did you mean `adamerge config show`?"],
  ["fit c.yaml --overwrit", 2, "unknown flag `--overwrit`; did you mean `--overwrite`?"],
  ["fit c.yaml -o runs", 2, "unknown flag `-o`; known: --"],
  ["fit c.yaml --steps 5", 2, "unknown flag `--steps`; settings are written without dashes: `steps=5`"],
  ["finetune base data --epochs 5", 2, "unknown flag `--epochs`; settings are written without dashes: `epochs=5`"],
  [
    "finetune base data --learning-rate=1e-3 --rank",
    2,
    "unknown flag `--learning-rate`; settings are written without dashes: `optimizer.learning_rate=1e-3`\nunknown flag `--rank`; settings are written without dashes: `lora.rank=...`",
  ],
  ["doctor extra", 2, "doctor: unexpected argument `extra`"],
  ["fit c.yaml stesp=3", 2, "override stesp=3: unknown key `stesp`; did you mean `steps`?"],
  ["fit d.yaml", 2, "d.yaml: cannot read the config: no such file; there are: c.yaml"],
  ["fit", 2, "fit: expected a config file or --resume RUN, found neither"],
  ["fit c.yaml --resume r", 2, "--resume: expected alone, since a run goes on with its own settings, found c.yaml too"],
  [
    "fit --resume r --overwrite",
    2,
    "--resume: expected alone, since a run goes on with its own settings, found --overwrite too",
  ],
  ["eval c.yaml", 2, "expected one of --coefficients FILE and --method NAME, found neither"],
  [
    "eval . --method ties",
    2,
    ". is a folder, so a saved model: expected --data TASK=FOLDER or --suite SUITE with it, found --method",
  ],
  [
    "eval . steps=3",
    2,
    ". is a folder, so a saved model: expected --data TASK=FOLDER or --suite SUITE with it, found steps=3",
  ],
  ["eval .", 2, "expected one of --data TASK=FOLDER and --suite SUITE with a saved model, found neither"],
  ["eval . --data pets", 2, "--data: expected TASK=FOLDER, found pets"],
  ["eval . --data a=b --data a=c", 2, "--data: expected each task once, found a twice"],
  ["eval c.yaml --data a=b --method ties", 2, "--data: expected the folder of a saved model with it, found c.yaml"],
  ["predict", 2, "predict: expected `adamerge predict <model> [files..]`, found too few arguments"],
  ["export model", 2, "export: Missing required argument: output; `adamerge export --help` explains"],
  ["predict model", 2, "expected files or folders behind the model, or --text TEXT, found neither"],
  ["predict model x.png --top 0", 2, "--top: expected a whole number from 1, found 0"],
  [
    "predict model x.png --format xml",
    2,
    'predict: Invalid values:\n  Argument: format, Given: "xml", Choices: "table", "csv", "jsonl"',
  ],
  ["eval c.yaml --coefficients x.json --set scale=1", 2, "--set: expected with --method only"],
  ["eval c.yaml --method ties --set [", 2, "--set: expected key=value,key=value, found ["],
  ["methods tie", 2, "methods: expected one of weight_averaging, linear"],
  ["eval c.yaml --method pretrained --method individual", 2, "--method: expected once, found several times"],
  [
    "fit c.yaml steps=x sed=1",
    2,
    "2 problems in the configuration:\n  override sed=1: unknown key `sed`; did you mean `seed`?\n  override steps=x: ",
  ],
  [
    "merge c.yaml --output o",
    2,
    "c.yaml is a run config: expected --coefficients with what a run learned. To merge models",
  ],
  ["merge c.yaml", 2, "merge: Missing required argument: output; `adamerge merge --help` explains"],
  [
    "eval c.yaml --coefficients nowhere",
    3,
    "nowhere: expected a coefficients.json or the folder of a run that has one, found nothing",
  ],
  ["inspect nowhere", 3, "nowhere: expected a .safetensors or PyTorch file, a folder that holds some"],
  [
    "inspect .",
    3,
    ".: expected a .safetensors or PyTorch file, a folder that holds some, a coefficients.json or a run folder, found a folder with c.yaml",
  ],
])("adamerge %s: exit code %i", async (line, code, message) => {
  const result = await run(line, real);
  expect(result.stderr).toContain(`adamerge: ${message}`);
  expect(result).toMatchObject({ code, stdout: "" });
});

test("errors of the work: user errors by their code, bugs with 1, stacks only with --debug", async () => {
  const fails = (error: Error): Partial<Library> => ({ fit: () => Promise.reject(error) });
  expect(await run("fit c.yaml", fails(new NumericError("loss is NaN")))).toMatchObject({
    code: 4,
    stderr: "adamerge: loss is NaN\n",
  });
  const bug = await run("fit c.yaml", fails(new Error("oops")));
  expect(bug).toMatchObject({
    code: 1,
    stderr: "adamerge: oops\nThis is a bug in adamerge; please report it with what --debug adds.\n",
  });
  expect((await run("fit c.yaml --debug", fails(new Error("oops")))).stderr).toContain("    at ");
  const stopped = await run("fit c.yaml", fails(new Error("aborted")), AbortSignal.abort());
  expect(stopped).toMatchObject({ code: 130, stderr: "adamerge: interrupted\n" });
});

test("help and version go to stdout; every verb has at least two examples", async () => {
  expect(await run("--version")).toMatchObject({ code: 0, stderr: "" });
  const verbs = [
    "quickstart",
    "fit",
    "eval",
    "merge",
    "inspect",
    "methods",
    "reproduce",
    "sync",
    "config show",
    "doctor",
  ];
  for (const verb of verbs) {
    const { code, stdout, stderr } = await run(`${verb} --help`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [, examples = ""] = stdout.split("Examples:\n");
    expect(examples.match(/^ {2}adamerge /gm)?.length, verb).toBeGreaterThanOrEqual(2);
  }
});

test.each([
  [{ ADAMERGE_CACHE: "here", XDG_CACHE_HOME: "/xdg" }, "/project/here"],
  [{ XDG_CACHE_HOME: "/xdg" }, "/xdg/adamerge"],
  [{ XDG_CACHE_HOME: "relative" }, "/home/x/.cache/adamerge"],
  [{}, "/home/x/.cache/adamerge"],
])("cache directory with %j", (env, expected) => {
  expect(cacheDirectory({ env, cwd: "/project", homeDir: "/home/x" })).toBe(path.normalize(expected));
});
