/**
 * What the verbs need from the outside: streams, environment, working directory, signals and the library; and the options that they all pass on to it.
 * main.ts gives the process's own; tests give theirs.
 */
import type { WorkEvent, WorkOptions } from "../index.js";
import { createByteProgress } from "../track/byte-progress.js";
import { createConsole } from "../track/console.js";
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
]);

/** Where a verb is called, for verbs that only look at what is there. */
export function lightOptions({ cwd, env }: Pick<CliIo, "cwd" | "env">) {
  return { cwd, env, optionName: (option: string) => `--${FLAGS.get(option) ?? option}` };
}

/** The options that long verbs pass on: progress goes to stderr unless `quiet`. */
export function workOptions(
  io: CliIo,
  { quiet, overwrite = false }: { readonly quiet: boolean; readonly overwrite?: boolean },
): WorkOptions & { readonly log: (line: string) => void; readonly onEvent: (event: WorkEvent) => void } {
  const light = { ...lightOptions(io), signal: io.signal, overwrite };
  if (quiet) return { ...light, log: () => {}, onEvent: () => {} };
  const view = createConsole({ stream: io.stderr, color: wantsColor(io.env) });
  const downloads = createByteProgress(io.stderr, () => performance.now());
  const onEvent = (event: WorkEvent): void => {
    // `merge` and `push` show their own.
    if (event.type === "merge" || event.type === "upload") return;
    if (event.type !== "download") view.show(event);
    else {
      downloads.show(event);
      if (event.doneBytes >= event.totalBytes) downloads.end();
    }
  };
  return { ...light, log: view.log, onEvent };
}

/** Prints a result for machines. */
export function printJson(io: CliIo, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
