/** The side of `bench bundle` that is measured: opens a base and its experts, compares them and builds the bundle, as a fit does before its first step. */
import { join } from "node:path";
import { buildBundle } from "../../dist/checkpoint/build-bundle.js";
import { compareCheckpoints, failOnProblems } from "../../dist/checkpoint/preflight.js";
import { clipVisionTensors } from "../../dist/internal.js";
import { taskVectorProcessings } from "../../dist/merge/task-vector-processings.js";
import { parseClipConfig } from "../../dist/model/clip/config.js";
import { clipVisionLayout } from "../../dist/model/clip/layout.js";
import { openBase, openExpert } from "../../dist/model/open-models.js";
import { serve } from "./peer.js";

const [folder = "", count = "0", dtype = "float32", processing = "none"] = process.argv.slice(2);

/** AdaMerging++ as published. */
const TIES = { processing: "ties", density: 0.2, dtype: "float32" } as const;

await serve(async () => {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const base = await openBase(join(folder, "base"));
  const experts = await Promise.all(
    Array.from({ length: Number(count) }, async (_, index) => ({
      task: `task${index}`,
      checkpoint: await openExpert(join(folder, `expert-${index}`), base),
    })),
  );
  const tensors = clipVisionTensors(parseClipConfig(base.config, folder));
  failOnProblems(await compareCheckpoints(base, experts, tensors, clipVisionLayout));
  const comparedSeconds = seconds();
  const bundle = await buildBundle({
    base,
    experts,
    tensors,
    layout: clipVisionLayout,
    cacheDir: join(folder, "cache"),
    processing: processing === "ties" ? taskVectorProcessings.ties.make(TIES) : undefined,
    dtype: dtype === "float16" ? "F16" : "F32",
  });
  return { path: bundle.path, comparedSeconds, builtSeconds: seconds() - comparedSeconds };
});
