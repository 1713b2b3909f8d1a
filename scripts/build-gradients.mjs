/**
 * Bundles the gradients of TensorFlow.js's operations, and its chained operations (`x.add(y)`), into dist/engine/tfjs-gradients.cjs, unless that is
 * newer than this file. The core's own entry has neither: only modules that Node cannot import register them, and the union package, which brings
 * layers, converters and WebGL along. What the bundle repeats of the core shares its state through the global registries. Plain JavaScript, since a
 * build needs nothing built.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const OUTPUT = join(ROOT, "dist", "engine", "tfjs-gradients.cjs");
const MODULES = ["register_all_gradients", "public/chained_ops/register_all_chained_ops"];

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const core = join(ROOT, "node_modules", "@tensorflow", "tfjs-core", "package.json");
if (Math.max(modified(import.meta.filename), modified(core)) >= modified(OUTPUT)) {
  const { build } = await import("esbuild");
  const { version } = JSON.parse(readFileSync(core, "utf8"));
  await build({
    stdin: {
      contents: MODULES.map((name) => `import "@tensorflow/tfjs-core/dist/${name}.js";`).join("\n"),
      resolveDir: ROOT,
    },
    outfile: OUTPUT,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    banner: {
      js: `// Gradients and chained operations of @tensorflow/tfjs-core ${version}, Apache-2.0, Copyright Google LLC`,
    },
    logLevel: "warning",
  });
}
