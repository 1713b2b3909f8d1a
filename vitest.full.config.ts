import { defineConfig } from "vitest/config";
import { workersFromDist } from "./vitest.shared.js";

// The slow tier: kills, the built command line end to end, Python references, software Vulkan.
export default defineConfig({
  plugins: [workersFromDist],
  test: {
    include: ["test/full/**/*.test.ts"],
    pool: "forks",
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
});
