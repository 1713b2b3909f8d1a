/**
 * The texts of a split of a table, in memory: in UTF-8, one behind the other, so that they take their bytes and eight more each. A table that is
 * read row by row has no places to come back to, and a second pass would parse all of it again; what is larger than the limit belongs into
 * parquet, of which a few groups of rows are in memory at a time.
 */
import { DataError } from "../../errors.js";

/** The texts of one split, and of the other texts of its pairs. Test splits of the usual benchmarks have up to some 100 MB. */
const MAX_HELD_BYTES = 2 ** 31;
const CHUNK_BYTES = 2 ** 22;

export interface TextStore {
  readonly size: number;
  /** Throws DataError, beginning with `where`, when there are more bytes than are held. */
  add(text: string, where: string): void;
  /** UTF-8, a copy. Throws RangeError for a text that is not there. */
  at(index: number): Uint8Array;
}

export function textStore(mostBytes: number = MAX_HELD_BYTES): TextStore {
  const chunks: Uint8Array[] = [];
  const ends: number[] = [];
  return {
    get size() {
      return ends.length;
    },
    add: (text, where) => {
      const bytes = Buffer.from(text, "utf8");
      const start = ends.at(-1) ?? 0;
      if (start + bytes.length > mostBytes)
        throw new DataError(
          `${where}: expected texts of at most ${mostBytes / 2 ** 20} MiB in a split of a table, which is held in memory, found more; store them as parquet, or divide them into splits`,
        );
      for (let done = 0; done < bytes.length; ) {
        const at = start + done;
        const offset = at % CHUNK_BYTES;
        if (offset === 0) chunks.push(new Uint8Array(CHUNK_BYTES));
        const part = bytes.subarray(done, done + CHUNK_BYTES - offset);
        chunks.at(-1)?.set(part, offset);
        done += part.length;
      }
      ends.push(start + bytes.length);
    },
    at: (index) => {
      const end = ends[index];
      if (end === undefined) throw new RangeError(`text ${index} is not in the split`);
      const start = ends[index - 1] ?? 0;
      const text = new Uint8Array(end - start);
      for (let at = start; at < end; ) {
        const offset = at % CHUNK_BYTES;
        const part = chunks[Math.floor(at / CHUNK_BYTES)]?.subarray(offset, Math.min(CHUNK_BYTES, offset + end - at));
        if (part === undefined) throw new RangeError(`text ${index} is not held`);
        text.set(part, at - start);
        at += part.length;
      }
      return text;
    },
  };
}
