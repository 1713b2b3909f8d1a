/**
 * Wrong inputs at the terminal: the exit code, one clear message that says where, what was expected and what to do, no stack
 * trace, and nothing half-written. Each row changes one thing in a copy of the shipped suite.
 */
import { cp, mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { openCheckpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { ROOT, runCli, temporaryFolder } from "../support/cli.js";

const TASKS = ["mnist", "fashion-mnist", "emoji", "letters"];
let pristine: string;
beforeAll(async () => {
  pristine = await temporaryFolder();
  await copyPart(join(ROOT, "datasets", "mini8"), join(pristine, "suite"));
  await writeFile(
    join(pristine, "c.yaml"),
    "extends: presets/quickstart\nsuite: suite\nsteps: 2\ndata:\n  eval_limit: 4\n  eval_every: 0\n",
  );
});

/** Four tasks of the suite: each row copies it anew. */
async function copyPart(from: string, to: string): Promise<void> {
  const suite = parse(await readFile(join(from, "suite.yaml"), "utf8"));
  suite.tasks = suite.tasks.filter(({ name }: { name: string }) => TASKS.includes(name));
  delete suite.multitask;
  const { base, tasks } = suite;
  const parts = [base, ...tasks.flatMap((task: Record<string, string>) => [task.dataset, task.expert, task.head])];
  for (const part of parts) await cp(join(from, part), join(to, part), { recursive: true });
  await writeFile(join(to, "suite.yaml"), stringify(suite));
}

interface Row {
  readonly name: string;
  readonly code: number;
  readonly message: RegExp;
  readonly args?: readonly string[];
  readonly change?: (folder: string) => Promise<unknown>;
}

const edit = (file: string, change: (text: string) => string) => async (folder: string) => {
  const path = join(folder, file);
  await writeFile(path, change(await readFile(path, "utf8")));
};

/** Rewrites one tensor of the mnist expert, or drops it when `change` returns undefined. */
const editExpert =
  (tensor: string, change: (values: Float32Array) => Float32Array | undefined) => async (folder: string) => {
    const directory = join(folder, "suite", "experts", "mnist");
    const expert = await openCheckpoint(directory);
    const values = new Map<string, Float32Array>();
    for (const name of expert.tensors.keys()) {
      const data = await expert.readFloat32(name);
      const changed = name === tensor ? change(data) : data;
      if (changed !== undefined) values.set(name, changed);
    }
    await saveCheckpoint(directory, {
      config: expert.config,
      specs: [...values.keys()].map((name) => ({ name, shape: expert.tensors.get(name)?.shape ?? [], dtype: "F32" })),
      data: (name) => values.get(name) ?? new Float32Array(),
      replace: true,
    });
  };
const BIAS = "vision_model.encoder.layers.0.mlp.fc1.bias";
const FIT = ["fit", "c.yaml"];

const rows: Row[] = [
  { name: "unknown verb", args: ["fti", "c.yaml"], code: 2, message: /fti.*did you mean.*fit/is },
  { name: "unknown flag", args: ["fit", "c.yaml", "--overwritee"], code: 2, message: /overwritee.*overwrite/is },
  { name: "no config", args: ["fit", "nothing.yaml"], code: 2, message: /nothing\.yaml/ },
  { name: "a folder as config", args: ["fit", "suite"], code: 2, message: /suite.*(folder|directory)/i },
  { name: "unknown key", args: [...FIT, "optimiser.lr=1"], code: 2, message: /optimiser.*optimizer/s },
  {
    name: "sweep over an unknown key",
    args: ["sweep", "s.yaml"],
    change: (folder) =>
      writeFile(join(folder, "s.yaml"), "config: c.yaml\nparameters: {optimizer.learningrate: [1e-3]}\n"),
    code: 2,
    message: /s\.yaml:2: parameters\.optimizer\.learningrate: unknown key.*did you mean `optimizer\.learning_rate`/s,
  },
  { name: "unknown experiment", args: ["reproduce", "mini8-finding"], code: 2, message: /did you mean mini8-findings/ },
  { name: "wrong type", args: [...FIT, "steps=many"], code: 2, message: /steps.*expected.*found/s },
  {
    name: "learning rate zero",
    args: [...FIT, "optimizer.learning_rate=0"],
    code: 2,
    message: /optimizer\.learning_rate/,
  },
  {
    name: "unknown preset",
    change: edit("c.yaml", (text) => text.replace("presets/quickstart", "presets/papper")),
    code: 2,
    message: /papper.*paper/s,
  },
  { name: "unknown task", args: [...FIT, "tasks=[mnits]"], code: 2, message: /no task mnits; did you mean mnist\?/ },
  {
    name: "group that matches nothing",
    args: [...FIT, "granularity=groups", "groups=[{name: a, match: [xyz]}]"],
    code: 2,
    message: /group a \(xyz\) takes no tensor/,
  },
  {
    name: "device that is not there",
    args: [...FIT, "device=cuda"],
    code: 2,
    message: /device=cuda does not work on this machine.*use device=auto or device=cpu/s,
  },
  {
    name: "device of the other engine",
    args: [...FIT, "device=wasm"],
    code: 2,
    message: /device.*expected one of auto, cpu, webgpu, cuda.*found wasm/s,
  },
  {
    name: "tfjs-node that is not installed",
    args: [...FIT, "engine=tfjs", "device=tensorflow"],
    code: 2,
    message:
      /device=tensorflow: expected TensorFlow's library.*@tensorflow\/tfjs-node-gpu: .*ready them: `npm run tensorflow`/s,
  },
  { name: "suite that is not there", args: [...FIT, "suite=elsewhere"], code: 3, message: /elsewhere/ },
  {
    name: "unknown key in suite.yaml",
    change: edit("suite/suite.yaml", (text) => `${text}\nlogitscale: 3\n`),
    code: 2,
    message: /suite\.yaml.*logitscale.*logit_scale/s,
  },
  {
    name: "expert without a tensor",
    change: editExpert(BIAS, () => undefined),
    code: 3,
    message: /experts\/mnist.*fc1\.bias.*expected.*found/s,
  },
  {
    name: "NaN in an expert",
    change: editExpert(BIAS, (values) => values.with(7, Number.NaN)),
    code: 3,
    message: /experts\/mnist.*fc1\.bias.*NaN.*7/s,
  },
  {
    name: "learning rate that leaves the finite numbers",
    args: [...FIT, "coefficients.constraint=none", "optimizer.learning_rate=1e30"],
    code: 4,
    message:
      /step 2: the loss of task \S+ .*is NaN: the numbers are not finite from vision_model\S+ on.*are kept\. Lower/s,
  },
  {
    name: "merge file with an unknown method",
    change: (folder) => writeFile(join(folder, "merge.yaml"), "models: [{model: suite/base}]\nmerge_method: tise\n"),
    args: ["merge", "merge.yaml", "--output", "merged"],
    code: 2,
    message: /merge\.yaml:2: merge_method: expected one of linear, .*, found tise; did you mean ties\?/,
  },
  {
    name: "merge file with a model that is not there",
    change: (folder) =>
      writeFile(
        join(folder, "merge.yaml"),
        "models: [{model: nowhere, parameters: {weight: 1}}]\nmerge_method: linear\n",
      ),
    args: ["merge", "merge.yaml", "--output", "merged"],
    code: 3,
    message: /nowhere: expected a checkpoint folder, a \.safetensors or a PyTorch file .*Check the path/,
  },
  {
    name: "expert that is the base",
    change: (folder) => cp(join(folder, "suite/base"), join(folder, "suite/experts/mnist"), { recursive: true }),
    code: 3,
    message: /experts\/mnist.*base/s,
  },
  {
    name: "truncated expert",
    change: (folder) => truncate(join(folder, "suite/experts/mnist/model.safetensors"), 100_000),
    code: 3,
    message: /model\.safetensors.*(truncated|bytes)/s,
  },
  {
    name: "head of another task",
    change: (folder) =>
      cp(join(folder, "suite/heads/letters.safetensors"), join(folder, "suite/heads/mnist.safetensors")),
    code: 3,
    message: /mnist\.safetensors: weight: expected shape \[10, 64\].*found \[26, 64\]/s,
  },
  { name: "split that is not there", args: [...FIT, "data.adapt_split=trian"], code: 3, message: /trian/ },
  {
    name: "image that is a web page",
    change: (folder) => imageFolder(folder, "<!DOCTYPE html><p>404"),
    code: 3,
    message: /page\.png.*(HTML|web page)/is,
  },
  {
    name: "coefficients that are not JSON",
    args: ["eval", "c.yaml", "--coefficients", "c.yaml"],
    code: 3,
    message: /c\.yaml: expected a coefficients\.json, found no JSON/,
  },
  {
    name: "coefficients of other tasks",
    args: ["eval", "c.yaml", "--coefficients", "k.json"],
    change: otherTasks,
    code: 3,
    message: /k\.json: tasks: expected/,
  },
  {
    name: "output that is not empty",
    args: ["merge", "c.yaml", "--coefficients", "k.json", "--output", "full"],
    change: async (folder) => {
      await otherTasks(folder);
      await mkdir(join(folder, "full"));
      await writeFile(join(folder, "full", "notes.txt"), "mine");
    },
    code: 2,
    message: /full: expected a new or empty folder/,
  },
  {
    name: "output that is an input",
    args: ["merge", "c.yaml", "--coefficients", "k.json", "--output", "suite"],
    change: otherTasks,
    code: 2,
    message: /suite: expected a place apart from what is read, found one that holds the suite/,
  },
];

async function otherTasks(folder: string): Promise<void> {
  const record = { granularity: "task-wise", tasks: ["cars"], groups: ["all"], values: [[0.3]], groupOf: {} };
  await writeFile(join(folder, "k.json"), JSON.stringify(record));
}

/** Replaces the mnist data by an image folder whose only image is `content`. */
async function imageFolder(folder: string, content: string): Promise<void> {
  for (let digit = 0; digit < 10; digit++) {
    const directory = join(folder, "suite", "images", "test", String(digit));
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "page.png"), content);
  }
  await edit("suite/suite.yaml", (text) => text.replace("tasks/mnist", "images"))(folder);
}

describe("wrong inputs", () => {
  it.each(rows.map((row) => [row.name, row] as const))("%s", async (_, { args = FIT, change, code, message }) => {
    const folder = await temporaryFolder();
    await cp(pristine, folder, { recursive: true });
    await change?.(folder);
    const result = await runCli(folder, args);
    expect(result.stderr).toMatch(message);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stderr).not.toMatch(/^\s+at .*\(?.*:\d+:\d+\)?$/m);
    expect(result.stdout).toBe("");
    const left = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".tmp"));
    expect(left).toEqual([]);
  });

  it("a run that exists is not overwritten, and the choices are named", async () => {
    const folder = await temporaryFolder();
    await cp(pristine, folder, { recursive: true });
    expect((await runCli(folder, FIT)).code).toBe(0);
    const again = await runCli(folder, FIT);
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/name=default-2.*--overwrite/s);
  });
});
