/**
 * `bench bundle`: random experts of a tower's size on disk, compared and packed into a bundle as a fit does before its first step: seconds, bytes per second
 * and the most anonymous memory, which should be that of the largest tensor's task vectors and not of the models. Beside it a plain copy of as many bytes.
 */
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, rm, stat, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { writeSafetensorsStream } from "../../dist/checkpoint/safetensors.js";
import { type ClipVisionConfig, clipVisionTensors } from "../../dist/internal.js";
import { createRng } from "../../dist/runtime/rng.js";
import { startPeer } from "./peer.js";
import { SHAPE_NAMES, SHAPES, type ShapeName } from "./shapes.js";
import { round } from "./statistics.js";

interface BundleArguments {
  readonly model: ShapeName;
  readonly experts: number;
  readonly stored: "F32" | "F16" | "BF16";
  readonly dtype: "float32" | "float16";
  readonly processing: "none" | "ties";
  readonly folder: string | undefined;
  readonly json: string | undefined;
}

export const bundleCommand: CommandModule<object, BundleArguments> = {
  command: "bundle",
  describe: "Building a bundle of random experts: seconds, GB/s and anonymous memory",
  builder: (yargs) =>
    yargs
      .option("model", { choices: SHAPE_NAMES, default: "vit-b-32" as ShapeName, describe: "The tower" })
      .option("experts", { type: "number", default: 8, describe: "How many, besides the base" })
      .option("stored", {
        choices: ["F32", "F16", "BF16"] as const,
        default: "F32" as const,
        describe: "Of the models' files",
      })
      .option("dtype", {
        choices: ["float32", "float16"] as const,
        default: "float32" as const,
        describe: "Of the task vectors in the bundle",
      })
      .option("processing", {
        choices: ["none", "ties"] as const,
        default: "none" as const,
        describe: "Of the task vectors, which then are read twice",
      })
      .option("folder", { type: "string", describe: "Where the models and the bundle go, and are removed again" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: BundleArguments): Promise<Record<string, unknown>> {
  const { model, experts, stored, dtype, processing } = options;
  if (experts < 1) throw new Error(`--experts ${experts}: expected at least 1`);
  const tensors = clipVisionTensors(SHAPES[model]);
  const elements = tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const modelBytes = elements * (stored === "F32" ? 4 : 2);
  const inputBytes = (experts + 1) * modelBytes;
  const bundleBytes = elements * (4 + experts * (dtype === "float32" ? 4 : 2));
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), "adamerge-bench-bundle-"));
  try {
    await requireRoom(folder, inputBytes + bundleBytes);
    for (let index = 0; index <= experts; index++) await writeModel(folder, options, index);
    const copySeconds = await copyBytes(folder, experts, bundleBytes);
    const script = join(import.meta.dirname, "our-bundle.ts");
    const peer = startPeer("our bundle", process.execPath, [
      ...["--import", "tsx", script, folder, String(experts), dtype, processing],
    ]);
    try {
      const { path, comparedSeconds, builtSeconds } = await peer.ask({ kind: "build" });
      const [compared, built] = [Number(comparedSeconds), Number(builtSeconds)];
      const written = (await stat(String(path))).size;
      const largest = Math.max(...tensors.map(({ shape }) => sizeOf(shape)));
      return {
        what: `${experts} experts of ${model} in ${stored} and their base, ${round(inputBytes / 1e9, 2)} GB, to a bundle of task vectors in ${dtype}${processing === "none" ? "" : `, ${processing}`}, ${round(written / 1e9, 2)} GB`,
        machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
        seconds: { compare: round(compared, 2), build: round(built, 2), both: round(compared + built, 2) },
        // Models are read for their hashes and for their values, the bundle is written and synced.
        gb_per_second: {
          compare_models: round(inputBytes / 1e9 / compared, 2),
          build_models_and_bundle: round((inputBytes + written) / 1e9 / built, 2),
        },
        copy_of_as_many_bytes: {
          seconds: round(copySeconds, 2),
          gb_per_second: round((inputBytes + written) / 1e9 / copySeconds, 2),
        },
        peak_anonymous_mb: round(peer.peakAnonymousBytes() / 1e6, 0),
        largest_tensor_of_all_experts_mb: round((largest * experts * 4) / 1e6, 0),
      };
    } finally {
      await peer.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function requireRoom(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize > neededBytes) return;
  throw new Error(
    `${folder}: expected ${round(neededBytes / 1e9, 1)} GB for the models and the bundle, found ${round((bavail * bsize) / 1e9, 1)} GB free. Name another --folder`,
  );
}

/** Values are drawn once and read from other places for each tensor: drawing all of them would take longer than what is measured. */
const POOL = 1 << 20;
/** Weights of CLIP towers have about this deviation, and fine-tuning moves them by about a tenth of it. */
const [DEVIATION, MOVE] = [0.02, 0.002];
let pool: Float32Array | undefined;

/** Model 0 is the base. */
async function writeModel(root: string, { model, stored }: BundleArguments, index: number): Promise<void> {
  const folder = join(root, index === 0 ? "base" : `expert-${index - 1}`);
  await mkdir(folder);
  await writeFile(join(folder, "config.json"), JSON.stringify(configJson(SHAPES[model])));
  const specs = clipVisionTensors(SHAPES[model]).map((tensor) => ({ ...tensor, dtype: stored }));
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  const rng = createRng("bench bundle");
  pool ??= Float32Array.from({ length: POOL }, () => rng.nextNormal());
  const normals = pool;
  const data = (name: string): Float32Array => {
    const start = createRng("bench bundle base", name).nextInt(POOL);
    const own = createRng("bench bundle expert", index, name).nextInt(POOL);
    const move = index === 0 ? 0 : MOVE;
    const values = new Float32Array(sizeOf(shapes.get(name) ?? []));
    for (let i = 0; i < values.length; i++)
      values[i] =
        DEVIATION * (normals[(start + i) & (POOL - 1)] ?? 0) + move * (normals[(own + 3 * i) & (POOL - 1)] ?? 0);
    return values;
  };
  await writeSafetensorsStream(join(folder, "model.safetensors"), specs, data, { metadata: { format: "pt" } });
}

function configJson(config: ClipVisionConfig): object {
  return {
    model_type: "clip_vision_model",
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    image_size: config.imageSize,
    patch_size: config.patchSize,
    projection_dim: config.projectionSize,
    hidden_act: config.activation,
  };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Seconds to read all models once and write and sync as many bytes as the bundle has. */
async function copyBytes(folder: string, experts: number, bundleBytes: number): Promise<number> {
  const begin = performance.now();
  const path = join(folder, "copy");
  const output = await open(path, "w");
  let last: Buffer = Buffer.alloc(1);
  let written = 0;
  for (const name of ["base", ...Array.from({ length: experts }, (_, index) => `expert-${index}`)]) {
    for await (const chunk of createReadStream(join(folder, name, "model.safetensors"), { highWaterMark: 1 << 22 })) {
      last = chunk as Buffer;
      if (written < bundleBytes) written += (await output.write(last)).bytesWritten;
    }
  }
  // A bundle in float32 of models in half precision is larger than they are.
  while (written < bundleBytes) written += (await output.write(last)).bytesWritten;
  await output.sync();
  await output.close();
  const seconds = (performance.now() - begin) / 1000;
  await rm(path);
  return seconds;
}
