#!/usr/bin/env node
/** The process around the command line: signals, broken pipes, exit. Everything else is in cli.ts. */
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { runCli } from "./cli.js";

const abort = new AbortController();

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (abort.signal.aborted) {
      // By the signal itself: process.exit would tear down ONNX Runtime in the middle of a run, which aborts noisily.
      process.removeAllListeners(name);
      process.kill(process.pid, name);
      return;
    }
    process.stderr.write("\nStopping after this step; once more to stop at once.\n");
    abort.abort();
  });
}

// `adamerge inspect x | head` closes the pipe: nobody reads on, which is no error. A closed stderr only
// silences progress; the work goes on.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  homeDir: homedir(),
  packageRoot: fileURLToPath(new URL("../..", import.meta.url)),
  signal: abort.signal,
  library: () => import("../run.js"),
  merging: () => import("../run/merge-models/merge-models.js"),
});
// Leaves when what was printed has been handed over, without waiting for engine threads to wind down.
process.stdout.write("", () => process.exit(exitCode));
