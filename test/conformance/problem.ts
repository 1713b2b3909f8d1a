/** The small merging problem of `step/`: base, experts, heads and the bundle built from them by the product's own readers. */
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBundle } from "../../src/checkpoint/build-bundle.js";
import type { Bundle, TaskVectorDtype } from "../../src/checkpoint/bundle.js";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { type ClipVisionConfig, parseClipConfig } from "../../src/model/clip/config.js";
import { clipVisionLayout } from "../../src/model/clip/layout.js";
import { clipVisionModel } from "../../src/model/clip/vision-model.js";
import type { Model } from "../../src/model/family.js";
import { type Head, loadHead } from "../../src/model/heads.js";
import type { Normalization } from "../../src/model/patches.js";
import { CONFORMANCE, type FixtureArrays, readStepDescription, type StepDescription } from "./fixture.js";

export interface Problem {
  readonly description: StepDescription;
  readonly config: ClipVisionConfig;
  readonly normalization: Normalization;
  readonly model: Model;
  readonly bundle: Bundle;
  readonly heads: readonly Head[];
}

/** CLIP's own normalisation, as in the fixtures. */
export async function normalizationOf(folder: string): Promise<Normalization> {
  const json: unknown = JSON.parse(await readFile(join(CONFORMANCE, folder, "preprocessor_config.json"), "utf8"));
  const { parsePreprocessing } = await import("../../src/data/image/preprocessing.js");
  return parsePreprocessing(json, folder);
}

export async function towerConfig(folder: string): Promise<ClipVisionConfig> {
  const file = join(CONFORMANCE, folder, "config.json");
  return parseClipConfig(JSON.parse(await readFile(file, "utf8")), file);
}

/** Builds the bundle, with task vectors of `dtype`, in a fresh temporary cache. */
export async function loadProblem(dtype: TaskVectorDtype = "F32"): Promise<Problem> {
  const description = await readStepDescription();
  const config = await towerConfig(description.base);
  const base = await openCheckpoint(join(CONFORMANCE, description.base));
  const experts = await Promise.all(
    description.experts.map(async (folder, index) => ({
      task: description.tasks[index] ?? "",
      checkpoint: await openCheckpoint(join(CONFORMANCE, "step", folder)),
    })),
  );
  const normalization = await normalizationOf(description.base);
  const model = clipVisionModel(config, normalization);
  const cacheDir = await mkdtemp(join(tmpdir(), "adamerge-conformance-"));
  const bundle = await buildBundle({
    base,
    experts,
    tensors: model.tensors,
    layout: clipVisionLayout,
    cacheDir,
    dtype,
  });
  const heads = await Promise.all(
    description.tasks.map((task, index) =>
      loadHead(join(CONFORMANCE, "step", "heads", `${task}.safetensors`), {
        task,
        classes: description.classes[index] ?? 0,
        featureSize: config.projectionSize,
      }),
    ),
  );
  return { description, config, normalization, model, bundle, heads };
}

/** Rows [N, K] of the fixture's tensor order, in the bundle's order. */
export function toBundleOrder(rowsNK: ArrayLike<number>, problem: Problem): Float64Array {
  const tasks = problem.bundle.tasks.length;
  const ordered = new Float64Array(problem.bundle.tensors.length * tasks);
  problem.bundle.tensors.forEach(({ name }, row) => {
    const source = problem.description.tensors.indexOf(name);
    for (let task = 0; task < tasks; task++) ordered[row * tasks + task] = rowsNK[source * tasks + task] ?? Number.NaN;
  });
  return ordered;
}

/** [A, B] -> [B, A]. */
export function transpose(values: ArrayLike<number>, rows: number): Float64Array {
  const columns = values.length / rows;
  return Float64Array.from(
    { length: values.length },
    (_, index) => values[(index % rows) * columns + Math.floor(index / rows)] ?? Number.NaN,
  );
}

/** The images of step/, all of one task after those of another. */
export function stepImages({ description }: Problem, fixture: FixtureArrays): Uint8Array {
  return Uint8Array.from(description.tasks.flatMap((task) => [...fixture.bytes(`pixels.${task}`)]));
}
