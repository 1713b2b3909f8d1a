#!/usr/bin/env node
/** The process around the command line: signals, streams that cannot be written, errors nobody caught, exit. Everything else is in cli.ts. */
import { fileURLToPath } from "node:url";
import { workingDirectory } from "../library/surroundings.js";
import type { CliIo } from "./io.js";
import { library } from "./library.js";
import { safeStreams } from "./safe-stream.js";
import { showError } from "./show-error.js";
import { ignoreErrors, watchResults } from "./streams.js";

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

ignoreErrors(process.stderr);
const results = watchResults(process.stdout);
const debug = process.argv.includes("--debug");
const io: CliIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: workingDirectory(),
  packageRoot: fileURLToPath(new URL("../..", import.meta.url)),
  signal: abort.signal,
  refused: results.refused,
  drained: results.drained,
  library,
};
const { stderr } = safeStreams(io);

// An error that nobody waited for. The work is stopped as by Ctrl-C, for the same reason as there, and its code is the error's.
let uncaught: number | undefined;
const stopFor = (error: unknown): void => {
  uncaught ??= showError(error, debug, stderr);
  abort.abort();
};
process.on("uncaughtException", stopFor);
process.on("unhandledRejection", stopFor);

// A promise that can never settle ends Node with code 13 and no word.
let isDone = false;
process.on("exit", () => {
  if (isDone) return;
  process.exitCode = uncaught ?? showError(new Error("the work ended before its result was there"), debug, stderr);
});

// Loaded here, where an error has a name: with too many files open nothing can be imported.
const code = await import("./cli.js").then(
  ({ runCli }) => runCli(process.argv.slice(2), io),
  (error: unknown) => showError(error, debug, stderr),
);
const exitCode = await results.exitCode(uncaught ?? code, stderr);
isDone = true;
// Leaves when what was printed has been handed over, without waiting for what nobody waits for.
process.exit(exitCode);
