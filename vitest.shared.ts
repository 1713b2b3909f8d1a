import type { Plugin } from "vitest/config";

/** Files that start threads or processes or load what only a build makes, and what that is, relative to them. */
const STARTED: readonly (readonly [file: string, started: string, built: string])[] = [
  ["/src/engine/onnx-engine.ts", "./onnx/session-worker.js", "../../dist/engine/onnx/session-worker.js"],
  ["/src/data/readers/parquet-shard.ts", "./parquet-worker.js", "../../../dist/data/readers/parquet-worker.js"],
  ["/src/data/text/text-tokenizer.ts", "./tokenizer-worker.js", "../../../dist/data/text/tokenizer-worker.js"],
  ["/src/model/clip/tokenizer.ts", "./tokenizer-worker.js", "../../../dist/model/clip/tokenizer-worker.js"],
  ["/src/experiment/compute-cells.ts", "./cell-process.js", "../../dist/experiment/cell-process.js"],
  ["/src/experiment/sweep/run-sweep.ts", "./trial-process.js", "../../../dist/experiment/sweep/trial-process.js"],
  ["/src/run/merge-models/workers.ts", "./merge-worker.js", "../../../dist/run/merge-models/merge-worker.js"],
  ["/src/report/page/assets.ts", "./browser/", "../../../dist/report/page/browser/"],
  ["/src/merge/kernels/kernels.ts", "./kernels.wasm", "../../../dist/merge/kernels/kernels.wasm"],
];

/**
 * Worker threads and processes load files through Node, which does not read TypeScript. Tests import the sources, but what these
 * start or load is taken from `dist`, which `npm test` builds first.
 */
export const workersFromDist: Plugin = {
  name: "workers-from-dist",
  enforce: "pre",
  transform: (code, id) => {
    const found = STARTED.find(([file]) => id.endsWith(file));
    return found === undefined ? undefined : code.replace(found[1], found[2]);
  },
};
