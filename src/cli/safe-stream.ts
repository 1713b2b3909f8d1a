/**
 * What a verb writes to, around the process's own streams: the last place where foreign text is made harmless and credentials are hidden. Of the
 * sequences that terminals obey only our own get through, and those only to a terminal. It neither buffers nor waits. On a terminal it keeps
 * the line that updates itself below all that is written, whichever stream that is.
 */
import { Writable } from "node:stream";
import { createLogUpdate } from "log-update";
import { secretsIn, withoutCredentials, withoutSecrets } from "../runtime/credentials.js";
import { shownLine, shownText } from "../runtime/printable.js";
import { type ConsoleStream, DEFAULT_COLUMNS } from "../track/terminal.js";
import type { CliIo } from "./io.js";

/** Colours that we write: bold, red, green, yellow, dim, and their ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const OWN = /(\u001b\[(?:0|1|2|22|3[1-6]|39)m)/;

export interface SafeStreams extends Pick<CliIo, "stdout" | "stderr"> {
  /** Takes the updating line away, for good. */
  endLive(): void;
}

/** The streams of `io`, made safe. Credentials are looked for where people are told something; a result is not changed for its words. */
export function safeStreams(io: Pick<CliIo, "stdout" | "stderr" | "env">): SafeStreams {
  const secrets = secretsIn(io.env);
  const hide = (text: string) => withoutSecrets(withoutCredentials(text), secrets);
  const line = canRewrite(io) ? liveLine(io.stderr, (text) => shownLine(hide(text))) : undefined;
  return {
    stdout: safeStream(io.stdout, { hide: (text) => text, line }),
    stderr: safeStream(io.stderr, { hide, line, live: line?.set }),
    endLive: () => line?.end(),
  };
}

/** Editors' terminals and serial lines call themselves dumb where they know no sequences. */
function canRewrite({ stderr, env }: Pick<CliIo, "stderr" | "env">): boolean {
  return stderr.isTTY === true && env.TERM !== "dumb";
}

interface LiveLine {
  readonly set: (text: string) => void;
  /** Writes something else where the line is; it is below that afterwards. */
  above(write: () => void): void;
  end(): void;
}

function liveLine(stream: ConsoleStream, safe: (text: string) => string): LiveLine {
  const update = createLogUpdate(new Terminal(stream), { showCursor: true });
  let shown = "";
  let isOver = false;
  const take = () => {
    if (shown !== "") update.clear();
  };
  return {
    set: (text) => {
      if (isOver) return;
      if (text === "") take();
      else update(safe(text));
      shown = text;
    },
    above: (write) => {
      take();
      write();
      if (shown !== "") update(safe(shown));
    },
    end: () => {
      take();
      shown = "";
      isOver = true;
    },
  };
}

/** As the library that rewrites lines takes it. */
class Terminal extends Writable {
  readonly isTTY = true;
  readonly #stream: ConsoleStream;

  constructor(stream: ConsoleStream) {
    super({ decodeStrings: false });
    this.#stream = stream;
  }

  get columns(): number {
    return this.#stream.columns ?? DEFAULT_COLUMNS;
  }

  override _write(text: unknown, _encoding: BufferEncoding, done: () => void): void {
    this.#stream.write(String(text));
    done();
  }
}

interface StreamRules {
  readonly hide: (text: string) => string;
  readonly line: LiveLine | undefined;
  readonly live?: ConsoleStream["live"];
}

function safeStream(stream: ConsoleStream, { hide, line, live }: StreamRules): ConsoleStream {
  const isTerminal = () => stream.isTTY === true;
  const safe = (text: string) => (isTerminal() ? ownKept(hide(text)) : shownText(hide(text)));
  return {
    write: (text) => {
      // What goes into a file leaves the terminal as it is.
      if (line === undefined || !isTerminal()) return stream.write(safe(text));
      return line.above(() => stream.write(safe(text)));
    },
    live,
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.columns;
    },
  };
}

function ownKept(text: string): string {
  return text
    .split(OWN)
    .map((part) => (OWN.test(part) ? part : shownText(part)))
    .join("");
}
