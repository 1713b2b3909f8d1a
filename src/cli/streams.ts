/**
 * The process's streams where they cannot be written. A log never ends the work: what stderr refuses is dropped. A result that was lost is
 * never a success: stdout's first refusal is kept until the end, and decides the exit code there.
 */
import { once } from "node:events";
import type { Writable } from "node:stream";
import { adviceFor } from "../runtime/system-error.js";
import { EXIT_BROKEN_PIPE, EXIT_OK, EXIT_OUTPUT_LOST } from "./exit-codes.js";
import type { CliIo } from "./io.js";

/** Keeps a stream's errors from ending the process. */
export function ignoreErrors(stream: Writable): void {
  stream.on("error", () => {});
}

export interface ResultStream {
  /** Aborted by the first refusal: what would be written after it is lost. */
  readonly refused: AbortSignal;
  /**
   * Waits while more is written than is taken; results that come one by one would fill memory where pipes do not block.
   */
  drained(): Promise<void>;
  /** The exit code of a command that ended with `code`, when all of its result has been handed over or refused. */
  exitCode(code: number, stderr: CliIo["stderr"]): Promise<number>;
}

/** Watches the stream that results go to. */
export function watchResults(stream: Writable): ResultStream {
  let refusal: NodeJS.ErrnoException | undefined;
  const refused = new AbortController();
  stream.on("error", (error: NodeJS.ErrnoException) => {
    refusal ??= error;
    refused.abort();
  });
  return {
    refused: refused.signal,
    drained: async () => {
      if (!stream.writableNeedDrain) return;
      // A refusal ends the waiting too: who wrote is told by `refused`.
      await once(stream, "drain", { signal: refused.signal }).catch(() => {});
    },
    exitCode: async (code, stderr) => {
      // Called back when everything before it has been written, or cannot be.
      const last = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
        stream.write("", (error) => resolve(error)),
      );
      const found = refusal ?? last;
      if (!found) return code;
      // `adamerge methods | head`: whoever reads has seen enough, and needs no message. The code is that of programs which SIGPIPE ends.
      if (found.code === "EPIPE") return code === EXIT_OK ? EXIT_BROKEN_PIPE : code;
      const advice = adviceFor(found.code ?? "");
      stderr.write(
        `adamerge: stdout: expected to write the result there, found that it cannot be (${found.message})${advice === undefined ? "" : `. What to do: ${advice}`}\n`,
      );
      return code === EXIT_OK ? EXIT_OUTPUT_LOST : code;
    },
  };
}
