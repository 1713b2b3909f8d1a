/** Makes the two runs of this folder with the version that is checked out; README.md beside this file says which that was. */
import { join, resolve } from "node:path";
import { loadRunConfig } from "../../src/config/load.js";
import { fit } from "../../src/run/fit/fit.js";

const ROOT = join(import.meta.dirname, "..", "..");
const OVERRIDES = [
  "tasks=[mnist, letters]",
  "data.eval_limit=20",
  "data.batch_size=2",
  "data.batches_per_task=1",
  "data.eval_every=2",
  "checkpoint_every=2",
  "steps=6",
  "optimizer.learning_rate=0.05",
  "optimizer.schedule=cosine",
  "save_model=false",
];

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("expected the folder to write into");
for (const { name, stopAfter } of [{ name: "finished" }, { name: "stopped", stopAfter: 4 }]) {
  const { config } = await loadRunConfig(
    join(ROOT, "configs", "mini8.yaml"),
    [...OVERRIDES, `name=${name}`, `output=${resolve(folder, "runs")}`],
    { cwd: folder, presetsDir: join(ROOT, "configs", "presets") },
  );
  const abort = new AbortController();
  await fit(config, {
    cacheDir: resolve(folder, "cache"),
    signal: abort.signal,
    overwrite: false,
    log: (line) => process.stderr.write(`${line}\n`),
    onEvent: (event) => {
      if (event.type === "step" && event.step === stopAfter) abort.abort();
    },
  });
}
