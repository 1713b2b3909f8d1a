/** What a person is shown of an error. By itself, so that it can be shown when nothing else could be loaded. */
import { UserError } from "../errors.js";
import { explainSystemError } from "../runtime/system-error.js";
import type { ConsoleStream } from "../track/terminal.js";
import { EXIT_FAILURE } from "./exit-codes.js";

/** Prints an error and returns its exit code: the message alone where a person can act on it, else as a bug of ours. */
export function showError(error: unknown, debug: boolean, stderr: ConsoleStream): number {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const shown = thrown instanceof UserError ? thrown : (explainSystemError(thrown) ?? thrown);
  stderr.write(`adamerge: ${shown.message}\n`);
  // The stack of where it was thrown, not of where it was explained.
  if (debug) stderr.write(`${thrown.stack}\n`);
  if (debug && thrown.cause instanceof Error) stderr.write(`because of: ${thrown.cause.stack}\n`);
  if (shown instanceof UserError) return shown.exitCode;
  if (!debug) stderr.write("This is a bug in adamerge; please report it with what --debug adds.\n");
  return EXIT_FAILURE;
}
