/**
 * `npm run gpu-check`: everything that is to be known of a machine with a GPU, in one command: which devices work, whether their step's gradient is the
 * CPU's, how long steps take beside PyTorch on the same card, and how much of its memory they take. What fails or is not there is written down,
 * and the rest goes on. Needs nothing but this tree; PyTorch where it is to be compared with.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import yargs from "yargs";
import { doctor } from "../../dist/index.js";
import { commitOf } from "../bench/commit.js";
import { TOWER_NAMES, type TowerName } from "../bench/towers.js";
import { cardOf } from "./card.js";
import { checkSteps, type Device, type StepCheck } from "./check-steps.js";
import { torchOn } from "./torch-on.js";

const DEVICES = ["cuda", "webgpu", "tensorflow", "cpu"] as const satisfies readonly Device[];
/** Examples of all eight tasks together. */
const BATCHES: Readonly<Record<TowerName, readonly number[]>> = {
  mini: [128, 1024],
  minilm: [64, 512],
  "vit-b-32": [32, 128],
  "vit-l-14": [16, 32],
};
/** Goals for an H100, in milliseconds, for 8 x 16 images of ViT-B/32. Steps of less than float32 are not built yet. */
const GOALS = { model: "vit-b-32", batch: 128, float16_ms: 15, tf32_ms: 25, float32: "ahead of PyTorch" };

const given = await yargs(process.argv.slice(2))
  .scriptName("npm run gpu-check --")
  .usage("$0 [options]\n\nTries and measures every device of this machine against the CPU and PyTorch.")
  .option("devices", { choices: DEVICES, array: true, default: DEVICES.slice(0, 3), describe: "Devices" })
  .option("models", { choices: TOWER_NAMES, array: true, default: [...TOWER_NAMES], describe: "Towers" })
  .option("batch", { type: "number", describe: "Examples of all tasks together (default: two sizes of each tower)" })
  .option("rounds", { type: "number", default: 5, describe: "Turns of each peer" })
  .option("python", { type: "string", default: "python3", describe: "A Python with torch, numpy and safetensors" })
  .option("json", { type: "string", default: "gpu-check.json", describe: "Write the figures here" })
  .strict()
  .help()
  .parseAsync();

const checks = (await doctor()).filter(({ name }) => /^(onnx on|tfjs on tensorflow)/.test(name));
for (const { name, detail } of checks) process.stdout.write(`${name}: ${detail}\n`);
const isThere = (device: Device) =>
  checks.some(({ name, detail }) => name.endsWith(` on ${device}`) && detail.startsWith("works"));
const torch = torchOn(given.python);
process.stdout.write(`PyTorch: ${torch.detail}\n`);

const results: StepCheck[] = [];
for (const device of given.devices) {
  if (!isThere(device)) continue;
  for (const model of given.models)
    for (const batch of given.batch === undefined ? BATCHES[model] : [given.batch]) {
      const result = await checkSteps({ device, model, batch, rounds: given.rounds, torch });
      results.push(result);
      process.stdout.write(`${lineOf(result)}\n`);
    }
}
const unmeasured = given.devices.filter((device) => !isThere(device));
if (unmeasured.length > 0)
  process.stdout.write(`not measured, since they do not work here: ${unmeasured.join(", ")}\n`);
const report = {
  command: "npm run gpu-check",
  machine: {
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    node: process.version,
    commit: commitOf(import.meta.dirname),
    card: cardOf(),
  },
  devices: checks.map(({ name, detail }) => ({ name, detail })),
  torch: torch.detail,
  unmeasured: { devices: unmeasured, steps: "float16 and TF32: not built yet" },
  goals_h100: GOALS,
  results,
};
await writeFile(given.json, `${JSON.stringify(report, undefined, 2)}\n`);
process.stdout.write(`figures: ${given.json}\n`);
if (results.some(({ error, isSame }) => error !== undefined || isSame === false)) process.exitCode = 1;

function lineOf({
  device,
  model,
  batch,
  error,
  gradientError,
  isSame,
  stepMs,
  torchMs,
  ratio,
  deviceMib,
}: StepCheck): string {
  const head = `${device}  ${model}, ${batch} examples:`;
  if (error !== undefined) return `${head} failed: ${error}`;
  const torchText = torchMs === undefined ? "" : `, PyTorch ${torchMs} ms (${ratio} times as long)`;
  const memory = deviceMib === undefined ? "" : `, ${deviceMib} MiB of the card`;
  if (gradientError === undefined) return `${head} step ${stepMs} ms${torchText}`;
  const same = isSame === true ? "as on the CPU" : "NOT as on the CPU";
  return `${head} step ${stepMs} ms${torchText}${memory}; gradient ${same} (relative error ${gradientError.toExponential(1)})`;
}
