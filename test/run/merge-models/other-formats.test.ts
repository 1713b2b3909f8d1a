/**
 * A suite whose experts are the shipped ones in other files - a state dict of open_clip saved by PyTorch, and a LoRA adapter whose factors and whole tensors are
 * the difference to the base - gives what the same experts give as Hugging Face folders, at the command line: init, eval, fit, merge.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { type Checkpoint, openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { stateDictFile } from "../../malformed/make-torch-file.js";
import { runCli, temporaryFolder } from "../../support/cli.js";
import { MINI8 } from "../../support/mini8-files.js";

const TASKS = ["mnist", "letters"];
let root: string;

/** open_clip's names for the canonical ones, to undo what is tested. */
async function toOpenClip(model: Checkpoint): Promise<Map<string, { shape: readonly number[]; data: Float32Array }>> {
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const put = async (name: string, canonical: readonly string[]) => {
    const parts = await Promise.all(canonical.map(async (one) => model.readFloat32(one)));
    const [, ...rest] = model.tensors.get(canonical[0] ?? "")?.shape ?? [];
    const data = Float32Array.from(parts.flatMap((part) => [...part]));
    tensors.set(`model.visual.${name}`, { shape: [data.length / rest.reduce((a, b) => a * b, 1), ...rest], data });
  };
  const both = async (name: string, canonical: readonly string[]) => {
    for (const kind of ["weight", "bias"]) {
      const fused = name.endsWith("in_proj") ? `${name}_${kind}` : `${name}.${kind}`;
      await put(
        fused,
        canonical.map((one) => `${one}.${kind}`),
      );
    }
  };
  const layers = [...model.tensors.keys()].filter((name) => name.endsWith("layer_norm1.weight")).length;
  await put("class_embedding", ["vision_model.embeddings.class_embedding"]);
  await put("positional_embedding", ["vision_model.embeddings.position_embedding.weight"]);
  await put("conv1.weight", ["vision_model.embeddings.patch_embedding.weight"]);
  await both("ln_pre", ["vision_model.pre_layrnorm"]);
  for (let layer = 0; layer < layers; layer++) {
    const [own, block] = [`transformer.resblocks.${layer}`, `vision_model.encoder.layers.${layer}`];
    await both(`${own}.ln_1`, [`${block}.layer_norm1`]);
    await both(
      `${own}.attn.in_proj`,
      ["q_proj", "k_proj", "v_proj"].map((part) => `${block}.self_attn.${part}`),
    );
    await both(`${own}.attn.out_proj`, [`${block}.self_attn.out_proj`]);
    await both(`${own}.ln_2`, [`${block}.layer_norm2`]);
    await both(`${own}.mlp.c_fc`, [`${block}.mlp.fc1`]);
    await both(`${own}.mlp.c_proj`, [`${block}.mlp.fc2`]);
  }
  await both("ln_post", ["vision_model.post_layernorm"]);
  const [features = 0, width = 0] = model.tensors.get("visual_projection.weight")?.shape ?? [];
  const projection = await model.readFloat32("visual_projection.weight");
  tensors.set("model.visual.proj", {
    shape: [width, features],
    data: projection.map((_, i) => projection[(i % features) * width + Math.floor(i / features)] ?? 0),
  });
  tensors.set("model.logit_scale", { shape: [], data: Float32Array.of(4) });
  return tensors;
}

/** Factors (B the difference, A the identity) for every weight of a linear layer, all other tensors whole. */
async function writeAdapter(path: string, model: Checkpoint, base: Checkpoint): Promise<void> {
  const tensors: WritableTensor[] = [];
  const add = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.push({ name: `base_model.model.${name}`, dtype: "F32", shape, data });
  for (const [name, { shape }] of model.tensors) {
    const [own, was] = [await model.readFloat32(name), await base.readFloat32(name)];
    const [outputs = 0, inputs = 0] = shape;
    const module = name.replace(/\.weight$/, "");
    if (/(proj|fc[12])\.weight$/.test(name) && name.startsWith("vision_model.encoder")) {
      const identity = Float32Array.from({ length: inputs * inputs }, (_, i) => (i % (inputs + 1) === 0 ? 1 : 0));
      add(`${module}.lora_A.weight`, [inputs, inputs], identity);
      // Scaling is alpha / r.
      add(
        `${module}.lora_B.weight`,
        [outputs, inputs],
        own.map((value, i) => (value - (was[i] ?? 0)) * (inputs / 2)),
      );
    } else add(name, shape, own);
  }
  await mkdir(path);
  await writeSafetensors(join(path, "adapter_model.safetensors"), tensors);
  await writeFile(join(path, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", r: 4, lora_alpha: 2 }));
}

beforeAll(async () => {
  root = await temporaryFolder();
  const base = await openCheckpoint(join(MINI8, "base"));
  const expert = (task: string) => openCheckpoint(join(MINI8, "experts", task));
  await writeFile(
    join(root, "mnist.pt"),
    stateDictFile(await toOpenClip(await expert("mnist")), ["model.visual.proj"]),
  );
  await writeAdapter(join(root, "letters"), await expert("letters"), base);
  const suite = parse(await readFile(join(MINI8, "suite.yaml"), "utf8"));
  for (const [name, experts] of Object.entries({
    folders: { mnist: join(MINI8, "experts/mnist"), letters: join(MINI8, "experts/letters") },
    others: { mnist: join(root, "mnist.pt"), letters: join(root, "letters") },
  })) {
    const tasks = TASKS.map((task) => {
      const own = suite.tasks.find((one: { name: string }) => one.name === task);
      const expertPath = task === "mnist" ? experts.mnist : experts.letters;
      return { ...own, expert: expertPath, dataset: join(MINI8, own.dataset), head: join(MINI8, own.head) };
    });
    await mkdir(join(root, name));
    const text = stringify({ ...suite, base: join(MINI8, "base"), multitask: undefined, tasks });
    await writeFile(join(root, name, "suite.yaml"), text);
    await writeFile(
      join(root, `${name}.yaml`),
      `extends: presets/quickstart\nsuite: ${name}\ndata: {eval_limit: 200}\n`,
    );
  }
});

async function evaluate(name: string, method: string): Promise<{ tasks: object; stderr: string }> {
  const { code, stdout, stderr } = await runCli(root, ["eval", `${name}.yaml`, "--method", method, "--json"]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("warning")]);
  return { tasks: JSON.parse(stdout).tasks, stderr };
}

it("each expert is as good alone, and so is what they are merged into", async () => {
  for (const method of ["individual", "weight_averaging", "ties"]) {
    const [found, expected] = [await evaluate("others", method), await evaluate("folders", method)];
    expect(found.tasks).toEqual(expected.tasks);
    expect(found.stderr).toMatch(
      /notice: .*mnist\.pt is a PyTorch file: its tensors are read, nothing in it is executed/,
    );
    expect(expected.stderr).not.toContain("notice");
  }
}, 120_000);

it("a fit learns from them, and its merged model is a folder of transformers' names", async () => {
  const settings = ["steps=2", "data.eval_every=0", "save_report=false"];
  const values: number[][] = [];
  for (const name of ["others", "folders"]) {
    const fitted = await runCli(root, ["fit", `${name}.yaml`, "--quiet", `experiment=${name}`, ...settings]);
    expect([fitted.code, fitted.stderr]).toEqual([0, ""]);
    const run = join(root, "runs", name, "default");
    values.push(JSON.parse(await readFile(join(run, "coefficients.json"), "utf8")).values.flat());
    expect((await openCheckpoint(join(run, "model"))).tensors.size).toBe(104);
  }
  const [found = [], expected = []] = values;
  expect(Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? 0))))).toBeLessThan(1e-4);
  const coefficients = join(root, "runs", "others", "default");
  const merged = await runCli(root, ["merge", "others.yaml", "--coefficients", coefficients, "--output", "merged"]);
  expect(merged.code).toBe(0);
  expect((await openCheckpoint(join(root, "merged"))).config).toMatchObject({ model_type: "clip_vision_model" });
}, 120_000);

it("init takes them", async () => {
  const args = [
    ...["--base", join(MINI8, "base"), "--expert", `mnist=${join(root, "mnist.pt")}`, "--expert", "letters=letters"],
    ...TASKS.flatMap((task) => ["--images", `${task}=${join(MINI8, "tasks", task)}`]),
    ...TASKS.flatMap((task) => ["--head", `${task}=${join(MINI8, "heads", `${task}.safetensors`)}`]),
  ];
  const { code, stdout, stderr } = await runCli(root, ["init", "made", ...args, "--json"]);
  expect([code, stderr]).toEqual([0, expect.stringContaining("notice: ")]);
  const { experts } = JSON.parse(stdout);
  for (const { accuracyPercent } of experts) expect(accuracyPercent.expert).toBeGreaterThan(85);
  const suite = parse(await readFile(join(root, "made", "suite.yaml"), "utf8"));
  expect(suite.tasks.map((task: { expert: string }) => task.expert)).toEqual([
    join(root, "mnist.pt"),
    join(root, "letters"),
  ]);
}, 120_000);
