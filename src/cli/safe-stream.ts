/**
 * What a verb writes to, around the process's own streams: the last place where foreign text is made harmless and credentials are hidden. Of the
 * sequences that terminals obey only our own get through, and those only to a terminal. It neither buffers nor waits.
 */
import { secretsIn, withoutCredentials, withoutSecrets } from "../runtime/credentials.js";
import { shownText } from "../runtime/printable.js";
import { type ConsoleStream, ERASE_LINE } from "../track/terminal.js";
import type { CliIo } from "./io.js";

/** Colours that we write (bold, red, green, yellow, dim, and their ends), and the line that updates itself. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const OWN = /(\r\u001b\[2K|\u001b\[(?:0|1|2|22|3[1-6]|39)m)/;

/** The streams of `io`, made safe. Credentials are looked for where people are told something; a result is not changed for its words. */
export function safeStreams(io: CliIo): Pick<CliIo, "stdout" | "stderr"> {
  const secrets = secretsIn(io.env);
  const hide = (text: string) => withoutSecrets(withoutCredentials(text), secrets);
  return { stdout: safeStream(io.stdout, (text) => text), stderr: safeStream(io.stderr, hide) };
}

function safeStream(stream: ConsoleStream, hide: (text: string) => string): ConsoleStream {
  return {
    write: (text) => stream.write(stream.isTTY === true ? ownKept(hide(text)) : shownText(hide(text))),
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
    .map((part) => (part === ERASE_LINE || OWN.test(part) ? part : shownText(part)))
    .join("");
}
