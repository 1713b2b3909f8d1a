/**
 * Reads character vectors from an R package's lazy-load database (Rdata.rdb), as far as r-cran-janeaustenr needs: a row of
 * blocks, each the size of its content as four bytes and a zlib stream, and in each an object in R's serialisation format. No other
 * kind of object is read. Source: R Internals, "Serialization Formats".
 */
import { inflateSync } from "node:zlib";
import { DataError } from "../../../../src/errors.js";

const VERSION_3 = 3;
const STRING_VECTOR = 16;
/** The object's type is the lowest byte of its flags. */
const TYPE_MASK = 0xff;
const NA_LENGTH = -1;

/** All blocks of the database, each a vector of strings. */
export function readCharacterVectors(database: Buffer): string[][] {
  const vectors: string[][] = [];
  for (let at = 0; at < database.length; ) {
    const { buffer, engine } = inflate(database.subarray(at + 4));
    vectors.push(readVector(buffer));
    at += 4 + engine.bytesWritten;
  }
  return vectors;
}

/** Inflates one stream and tells how long it was; what follows it is not looked at. */
function inflate(stream: Buffer): { buffer: Buffer; engine: { bytesWritten: number } } {
  // With `info` Node returns the stream's engine too; its types know only the buffer.
  const result: unknown = inflateSync(stream, { info: true });
  if (isInflated(result)) return result;
  throw new DataError("an R database: expected a zlib stream with its length, found none");
}

function isInflated(result: unknown): result is { buffer: Buffer; engine: { bytesWritten: number } } {
  return typeof result === "object" && result !== null && "buffer" in result && "engine" in result;
}

function readVector(bytes: Buffer): string[] {
  const refuse = (what: string): never => {
    throw new DataError(`an R database: expected a vector of strings in XDR format, version 3, found ${what}`);
  };
  let at = 0;
  const readInt = (): number => {
    at += 4;
    return bytes.readInt32BE(at - 4);
  };
  if (bytes.toString("latin1", 0, 2) !== "X\n") refuse("another format");
  at = 2;
  const version = readInt();
  if (version !== VERSION_3) refuse(`version ${version}`);
  at += 8; // the versions of R that wrote it and that can read it
  const encodingBytes = readInt();
  at += encodingBytes;
  const type = readInt() & TYPE_MASK;
  if (type !== STRING_VECTOR) refuse(`an object of type ${type}`);
  const strings: string[] = [];
  for (let left = readInt(); left > 0; left--) {
    readInt(); // flags of one string
    const length = readInt();
    strings.push(length === NA_LENGTH ? "" : bytes.toString("utf8", at, at + length));
    at += Math.max(0, length);
  }
  return strings;
}
