/**
 * Compiles `kernels/` to dist/merge/kernels/kernels.wasm, unless that is newer than all of them: loading the compiler takes seconds. Plain
 * JavaScript, since a build needs nothing built.
 */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const OUTPUT = join(ROOT, "dist", "merge", "kernels", "kernels.wasm");

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const sources = readdirSync(join(ROOT, "kernels")).map((name) => join(ROOT, "kernels", name));
if (Math.max(modified(import.meta.filename), ...sources.map(modified)) >= modified(OUTPUT)) {
  const { default: asc } = await import("assemblyscript/asc");
  mkdirSync(join(OUTPUT, ".."), { recursive: true });
  const flags = ["-O3", "--enable", "simd", "--runtime", "stub", "--importMemory", "--use", "abort=", "--noAssert"];
  const { error, stderr } = await asc.main(["kernels/index.ts", "--baseDir", ROOT, "--outFile", OUTPUT, ...flags]);
  if (error !== null) {
    process.stderr.write(`${stderr.toString()}\n${error.message}\n`);
    process.exitCode = 1;
  }
}
