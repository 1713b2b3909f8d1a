import type { Plugin } from "vitest/config";

/**
 * Worker threads load files through Node, which does not read TypeScript. Tests import the sources, but the engine's worker
 * is taken from `dist`, which `npm test` builds first.
 */
export const workersFromDist: Plugin = {
  name: "workers-from-dist",
  enforce: "pre",
  transform: (code, id) =>
    id.endsWith("/src/engine/onnx-engine.ts")
      ? code.replace("./onnx/session-worker.js", "../../dist/engine/onnx/session-worker.js")
      : undefined,
};
