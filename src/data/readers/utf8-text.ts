/**
 * The text of a file that is read by lines, whole lines at a time and never the whole file: UTF-8, in another encoding refused with its line;
 * packed with gzip where its name ends so. What the lines mean is csv-rows.ts's and json-rows.ts's.
 */
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../../errors.js";
import { decodeUtf8, streamRegular } from "../../runtime/regular-file.js";
import { escapedBytes } from "./file-names.js";

const LF = 0x0a;
export const MARK = "\ufeff";
/** No table is larger; a few megabytes of gzip can hold it, all blanks. */
const MAX_UNPACKED_BYTES = 2 ** 36;

export interface TextForm {
  /** "CSV" */
  readonly name: string;
  /** "a CSV file" */
  readonly file: string;
  /** What programs call it when they write it in UTF-8. */
  readonly inUtf8: string;
  /** Letters of a line. */
  readonly maxLength: number;
}

/** Throws DataError, beginning with `place`, where it is not UTF-8 and for a line that is too long. */
export async function* wholeLines(path: string, place: string, form: TextForm): AsyncGenerator<string> {
  let rest: Uint8Array[] = [];
  let [restBytes, lines] = [0, 0];
  const decode = (bytes: Uint8Array) => {
    const text = decodeUtf8(bytes);
    if (text === undefined) throw new DataError(foreignText(place, bytes, lines, form));
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
    return text;
  };
  for await (const chunk of bytesOf(path, place, form)) {
    const end = chunk.lastIndexOf(LF) + 1;
    if (restBytes + (end === 0 ? chunk.length : 0) > 4 * form.maxLength)
      throw new DataError(
        `${place}: expected ${form.name} with lines of at most ${form.maxLength} characters, found a longer one`,
      );
    if (end === 0) {
      rest.push(chunk);
      restBytes += chunk.length;
      continue;
    }
    const whole = Buffer.concat([...rest, chunk.subarray(0, end)]);
    rest = [chunk.subarray(end)];
    restBytes = chunk.length - end;
    yield decode(whole);
  }
  if (restBytes > 0) yield decode(Buffer.concat(rest));
}

async function* bytesOf(path: string, place: string, { file }: TextForm): AsyncGenerator<Uint8Array> {
  const packed = streamRegular(path, file, DataError);
  if (!path.endsWith(".gz")) {
    yield* packed;
    return;
  }
  const unpacked = createGunzip();
  // An error is met by whoever reads the unpacked bytes.
  pipeline(Readable.from(packed), unpacked, () => {});
  let size = 0;
  try {
    for await (const chunk of unpacked) {
      size += chunk.length;
      if (size > MAX_UNPACKED_BYTES)
        throw new DataError(`${place}: expected at most ${MAX_UNPACKED_BYTES} bytes unpacked, found more`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${place}: expected a file packed with gzip, found: ${reason}; get it again`, { cause: error });
  }
}

function foreignText(place: string, bytes: Uint8Array, linesBefore: number, { name, inUtf8 }: TextForm): string {
  const [first, second] = bytes;
  if (linesBefore === 0 && ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)))
    return `${place}: expected ${name} in UTF-8, found UTF-16 (Excel's "Unicode text"?); save it as ${inUtf8}`;
  let [start, line] = [0, linesBefore + 1];
  for (;;) {
    const end = bytes.indexOf(LF, start);
    const text = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (end < 0 || decodeUtf8(text) === undefined)
      return `${place}:${line}: expected ${name} in UTF-8, found ${escapedBytes(text.subarray(0, 100))} in another encoding; save it as UTF-8, e.g. with \`iconv -f latin1 -t utf8\``;
    start = end + 1;
    line += 1;
  }
}
