/**
 * What the verbs need from the outside: streams, environment, working directory, signals and the library; and the options that they all pass on to it.
 * main.ts gives the process's own; tests give theirs.
 */
import type { WorkEvent, WorkOptions } from "../index.js";
import { fittedText, type TableSpace } from "../report/results-text.js";
import type { Cells } from "../report/table.js";
import { createConsole } from "../track/console.js";
import { BYTES } from "../track/pieces.js";
import type { ConsoleStream } from "../track/terminal.js";
import type { Library } from "./library.js";

export interface CliIo {
  readonly stdout: ConsoleStream;
  readonly stderr: ConsoleStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Folder of the installed package: holds package.json. */
  readonly packageRoot: string;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  /** Aborted when stdout refuses what is written: work whose results come one by one need not go on. */
  readonly refused?: AbortSignal;
  /** Resolves when stdout takes more. */
  readonly drained?: () => Promise<void>;
  readonly library: Library;
  /** With --verbose. */
  readonly isVerbose?: boolean;
}

/** Colours are off when NO_COLOR is set to anything but the empty text (no-color.org). */
export function wantsColor(env: CliIo["env"]): boolean {
  return !env.NO_COLOR;
}

/** Options of the library whose flags are not called as they are. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ["experts", "expert"],
  ["heads", "head"],
  ["textModel", "text-model"],
  ["dryRun", "dry-run"],
]);

/** Where a verb is called, for verbs that only look at what is there. */
export function lightOptions({ cwd, env }: Pick<CliIo, "cwd" | "env">) {
  return { cwd, env, optionName: (option: string) => `--${FLAGS.get(option) ?? option}` };
}

/** The options that long verbs pass on: progress goes to stderr unless `quiet`, what goes on behind it with --verbose only. */
export function workOptions(
  io: CliIo,
  { quiet, overwrite = false }: { readonly quiet: boolean; readonly overwrite?: boolean },
): WorkOptions & { readonly log: (line: string) => void } {
  const light = { ...lightOptions(io), signal: io.signal, overwrite };
  if (quiet) return { ...light, log: () => {} };
  const view = createConsole({ stream: io.stderr, color: wantsColor(io.env) });
  const onEvent = (event: WorkEvent): void => {
    switch (event.type) {
      case "progress":
        view.progress(event);
        break;
      case "download":
      case "upload":
      case "merge": {
        const { doneBytes: done, totalBytes: total } = event;
        view.progress({ what: BYTE_WORK[event.type], done, total, unit: BYTES });
        break;
      }
      case "finetune step":
      case "finetune evaluation":
        // Progress and lines say it.
        break;
      default:
        view.show(event);
    }
  };
  return { ...light, log: view.log, detail: io.isVerbose === true ? view.log : undefined, onEvent };
}

/** What is called how while its bytes are counted. */
const BYTE_WORK = { download: "downloading", upload: "sending", merge: "merging" } as const;

/** What a table on stdout has room for. */
export function tableSpace({ stdout, env }: Pick<CliIo, "stdout" | "env">): TableSpace {
  const { columns, isTTY } = stdout;
  return { columns: isTTY === true ? columns : undefined, color: isTTY === true && wantsColor(env) };
}

/** A table that is not wider than the terminal. */
export function tableText(cells: Cells, io: Pick<CliIo, "stdout" | "env">): string {
  return fittedText(cells, tableSpace(io));
}

/** Prints a result for machines. */
export function printJson(io: CliIo, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
