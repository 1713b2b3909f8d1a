import { defineConfig } from "vitest/config";
import { workersFromDist } from "./vitest.shared.js";

// The fast tier: unit tests, conformance fixtures and a small end-to-end run.
export default defineConfig({
  plugins: [workersFromDist],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/full/**"],
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
