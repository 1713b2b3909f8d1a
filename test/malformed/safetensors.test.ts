/**
 * One row per way in which a safetensors file can be wrong: its bytes and the error it must give. Adding a case is
 * adding a row. Every error names the file; none takes long or allocates what the file claims.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { CheckpointError } from "../../src/errors.js";
import { at, F32, file, tensor } from "./make-file.js";

const BAD: readonly (readonly [string, Uint8Array, string | RegExp])[] = [
  ["an empty file", new Uint8Array(), "expected at least 8 bytes (the length of the header), found 0 bytes"],
  ["7 bytes", new Uint8Array(7), "expected at least 8 bytes (the length of the header), found 7 bytes"],
  ["8 zero bytes", new Uint8Array(8), "expected a header that begins with '{', found an empty header"],
  [
    "a header over the limit",
    file("{}", 0, 25_000_001n),
    "expected a header of at most 25000000 bytes, found a declared length of 25000001",
  ],
  ["a length with high bytes", file("{}", 0, 2n ** 63n + 2n), "found a declared length of 9223372036854775810"],
  [
    "a header longer than the file",
    file("{}", 0, 3n),
    "expected a file of at least 11 bytes (8 + header), found 10 bytes",
  ],
  ["N = file size", file("{}", 0, 10n), "expected a file of at least 18 bytes"],
  [
    "bad UTF-8",
    file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    "expected a header in UTF-8, found bytes that are not",
  ],
  ["a byte order mark", file("\ufeff{}"), "expected a header that begins with '{', found byte 0xef"],
  ["UTF-16", file(Buffer.from("{}", "utf16le")), /expected a quoted key at character 1/],
  ["blanks", file("    "), "expected a header that begins with '{', found byte 0x20"],
  ["leading blanks", file(" {}"), "expected a header that begins with '{', found byte 0x20"],
  [
    "a big-endian length",
    Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]), Buffer.from("{}")]),
    "a declared length of",
  ],
  [
    "a newline before the file",
    Buffer.concat([Buffer.from("\n"), file("{}")]),
    "expected a file of at least 530 bytes",
  ],
  ["a top level that is a text", file('"{}"'), "expected a header that begins with '{', found byte 0x22"],
  ["a top level that is null", file("null"), "expected a header that begins with '{', found byte 0x6e"],
  ["a top level that is an array", file("[]"), "expected a header that begins with '{', found byte 0x5b"],
  ["truncated JSON", file('{"t":'), 'expected the entry of tensor "t" at character 5, found the end'],
  ["trailing garbage", file("{}x"), "expected nothing after the closing '}' but blanks at character 2, found \"x\""],
  ["NUL padding", file("{}\0\0"), "expected nothing after the closing '}' but blanks at character 2"],
  ["a trailing comma", file(`{"t":${F32},}`, 4), /expected a quoted key at character \d+, found "}"/],
  ["single quotes", file("{'t':1}"), "expected a quoted key at character 1"],
  ["100,000 nested arrays", tensor("[".repeat(100_000)), 'expected the entry of tensor "t" at character 5'],
  ["nested arrays in a shape", tensor(`{"shape":${"[".repeat(100_000)}`), 'expected shape of "t" as unsigned integers'],
  ["a lone surrogate", file('{"\\ud800":1}'), "expected a string of valid Unicode (no lone surrogates) at character 2"],
  ["an unknown escape", file('{"\\x41":1}'), "expected a JSON escape at character 2"],
  ["a raw control character", file('{"a\nb":1}'), "expected a string without control characters, closed by"],
  [
    "NUL in a name",
    file(`{"a\\u0000":${F32}}`, 4),
    'expected tensor names without control characters, found "a\\u0000"',
  ],
  ["an empty name", file(`{"":${F32}}`, 4), "expected tensors with names, found an empty name"],
  [
    "a name of 1 MB",
    file(`{"${"x".repeat(1_000_000)}":${F32}}`, 4),
    "expected tensor names of at most 4096 characters, found 1000000",
  ],
  ["metadata that is a list", file('{"__metadata__":[]}'), "expected __metadata__ at character 16"],
  [
    "a number in metadata",
    file('{"__metadata__":{"a":1}}'),
    'expected __metadata__ "a" as a string at character 21, found "1}}"',
  ],
  ["an object in metadata", file('{"__metadata__":{"a":{}}}'), 'expected __metadata__ "a" as a string'],
  ["a list in metadata", file('{"__metadata__":{"a":["b"]}}'), 'expected __metadata__ "a" as a string'],
  [
    "a key of the metadata twice",
    file('{"__metadata__":{"a":"b","a":"c"}}'),
    'every key once in __metadata__, found "a" twice',
  ],
  ["metadata that is a tensor", file(`{"__metadata__":${F32}}`, 4), 'expected __metadata__ "shape" as a string'],
  ["metadata twice", file('{"__metadata__":{},"__metadata__":{}}'), 'found "__metadata__" twice'],
  ["an entry that is a number", tensor("1"), 'expected the entry of tensor "t" at character 5'],
  ["no dtype", tensor('{"shape":[1],"data_offsets":[0,4]}', 4), 'for tensor "t", found no dtype'],
  ["no shape", tensor('{"dtype":"F32","data_offsets":[0,4]}', 4), 'for tensor "t", found no shape'],
  ["no data_offsets", tensor('{"dtype":"F32","shape":[1]}', 4), 'for tensor "t", found no data_offsets'],
  [
    "one offset",
    tensor('{"dtype":"F32","shape":[1],"data_offsets":[4]}', 4),
    'expected two data_offsets for tensor "t", found 1',
  ],
  [
    "three offsets",
    tensor('{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}', 4),
    'expected two data_offsets for tensor "t", found 3',
  ],
  [
    "an extra field",
    tensor('{"dtype":"F32","strides":[1]}'),
    'expected only dtype, shape and data_offsets for tensor "t", found the field "strides"',
  ],
  [
    "an unknown dtype",
    tensor('{"dtype":"F31","shape":[1],"data_offsets":[0,4]}', 4),
    /expected tensor "t" to have one of the dtypes BOOL F4 .* U64, found "F31"/,
  ],
  ["a dtype in lower case", tensor('{"dtype":"f32","shape":[1],"data_offsets":[0,4]}', 4), 'found "f32"'],
  ["a dtype that is null", tensor('{"dtype":null}'), 'expected dtype of "t" as a string at character 14'],
  ...["-1", "1.5", '"3"', "null", "true", "1e2", "-0", "01", "{}", "NaN"].map(
    (dim) =>
      [
        `the dim ${dim}`,
        tensor(`{"dtype":"F32","shape":[${dim}],"data_offsets":[0,4]}`, 4),
        'expected shape of "t" as unsigned integers at character 29',
      ] as const,
  ),
  ...["-1", "0.5", '"0"', "null", "false", "0e0", "1e2", "-0", "00", "[]"].map(
    (offset) =>
      [
        `the offset ${offset}`,
        tensor(`{"dtype":"F32","shape":[1],"data_offsets":[${offset},4]}`, 4),
        'expected data_offsets of "t" as unsigned integers at character 48',
      ] as const,
  ),
  ["a shape that is a number", tensor('{"dtype":"F32","shape":1}'), 'expected shape of "t" as an array'],
  ["offsets that are null", tensor('{"data_offsets":null}'), 'expected data_offsets of "t" as an array'],
  [
    "65 dims",
    tensor(`{"dtype":"F32","shape":[${Array(65).fill(1)}],"data_offsets":[0,4]}`, 4),
    'expected shape of "t" of at most 64 numbers',
  ],
  [
    "an offset of 2^53 + 1",
    tensor('{"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740993]}', 4),
    'expected data_offsets of "t" of at most 9007199254740991',
  ],
  [
    "a dim of 2^63",
    tensor('{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,4]}', 4),
    'expected shape of "t" of at most 9007199254740991',
  ],
  [
    "a product that overflows",
    tensor('{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}', 4),
    'expected tensor "t" to have at most 2^53 - 1 bits, found shape [4294967296, 4294967296] F32',
  ],
  [
    "bits that overflow",
    tensor('{"dtype":"F64","shape":[9007199254740991],"data_offsets":[0,4]}', 4),
    'expected tensor "t" to have at most 2^53 - 1 bits',
  ],
  [
    "F4 with an odd count",
    tensor('{"dtype":"F4","shape":[3],"data_offsets":[0,2]}', 2),
    'expected tensor "t" to fill whole bytes, found 12 bits, shape [3] F4',
  ],
  [
    "too few bytes for the shape",
    tensor('{"dtype":"F32","shape":[2],"data_offsets":[0,4]}', 4),
    'expected 8 bytes for tensor "t" (shape [2] F32), found 4 bytes',
  ],
  [
    "rank 0 with no bytes",
    tensor('{"dtype":"F32","shape":[],"data_offsets":[0,0]}'),
    'expected 4 bytes for tensor "t" (shape [] F32), found 0 bytes',
  ],
  [
    "begin after end",
    tensor('{"dtype":"F32","shape":[1],"data_offsets":[8,4]}', 8),
    'expected data_offsets of tensor "t" to end after they begin, found [8, 4]',
  ],
  [
    "a hole at the beginning",
    tensor(at(4, 8), 8),
    'expected tensor "t" to begin at data byte 0, where the tensor before it ends, found 4 (a hole before it)',
  ],
  [
    "a hole of 1 byte",
    file(`{"a":${at(0, 4)},"b":${at(5, 9)}}`, 9),
    'expected tensor "b" to begin at data byte 4, where the tensor before it ends, found 5 (a hole before it)',
  ],
  ["an overlap", file(`{"a":${at(0, 8)},"b":${at(4, 12)}}`, 12), "found 4 (an overlap with the tensor before it)"],
  [
    "two tensors on one range",
    file(`{"a":${at(0, 4)},"b":${at(0, 4)}}`, 4),
    'expected tensor "b" to begin at data byte 4',
  ],
  ["one byte missing", tensor(F32, 3), /expected a file of \d+ bytes, as its header says, found \d+ bytes \(truncated/],
  [
    "one byte more",
    tensor(F32, 5),
    /expected a file of \d+ bytes, as its header says, found \d+ bytes \(extra bytes after the data\)/,
  ],
  ["data in an empty file", file("{}", 1), "(extra bytes after the data)"],
  [
    "a tensor twice",
    file(`{"a":${at(0, 4)},"a":${at(4, 8)}}`, 8),
    'expected every key once in the header, found "a" twice',
  ],
  ["a tensor twice by an escape", file(`{"a":${at(0, 4)},"\\u0061":${at(4, 8)}}`, 8), 'found "a" twice'],
  ["an empty tensor twice", file(`{"a":${at(0, 0, 0)},"a":${at(0, 0, 0)}}`), 'found "a" twice'],
  [
    "dtype twice",
    tensor('{"dtype":"F32","dtype":"F32"}'),
    'expected every key once in the entry of tensor "t", found "dtype" twice',
  ],
  [
    "100,001 tensors",
    file(`{${Array.from({ length: 100_001 }, (_, i) => `"t${i}":${at(0, 0, 0)}`).join(",")}}`),
    "expected at most 100000 tensors, found more",
  ],
  [
    "a name that turns the text of a terminal",
    file(`{"\u202e\u009b31m":${F32},"\u202e\u009b31m":1}`, 4),
    'found "\\u202e\\u009b31m" twice',
  ],
  [
    "a git-lfs pointer",
    Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
    "expected a safetensors file, found a git-lfs pointer, not the file itself. Run `git lfs pull`",
  ],
  [
    "an HTML page",
    Buffer.from("<!DOCTYPE html><html><body>404</body></html>"),
    "found an HTML or XML page, probably a saved error page. Download the file again",
  ],
  [
    "a .pt file (zip)",
    Buffer.from("PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl", "latin1"),
    "found a zip archive, as PyTorch writes .pt and .bin files. Give it the ending .pt",
  ],
  [
    "a pickle",
    Buffer.from("\x80\x02}q\x00X\x01\0\0\0aq\x01K\x01s.", "latin1"),
    "found a Python pickle. Convert it to safetensors where Python and PyTorch",
  ],
  ["gzip", gzipSync(tensor(F32, 4)), "found gzip-compressed. Decompress it with gunzip first"],
  ["zstd", Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 4, 0, 1, 0, 0]), "found zstd- or xz-compressed. Decompress it first"],
  [
    "tar",
    Buffer.concat([Buffer.alloc(257, "a"), Buffer.from("ustar\0")]),
    "found a tar archive, perhaps of the first versions of PyTorch. Unpack it",
  ],
  [
    "an index or config",
    Buffer.from('{\n  "metadata": {"total_size": 48}\n}'),
    "found JSON text, perhaps the index or config of a checkpoint. Give the folder it is in",
  ],
  ["GGUF", Buffer.from("GGUF\x03\0\0\0\0\0\0\0"), "found a GGUF file"],
];

const GOOD: readonly (readonly [string, Uint8Array, readonly string[]])[] = [
  ["no tensors", file("{}"), []],
  ["trailing blanks", file(`{"t":${F32}}  \n`, 4), ["t"]],
  ["blanks inside", file(`{ "t" : {"dtype" : "F32", "shape":[ 1 ],"data_offsets":[0 ,4]} }`, 4), ["t"]],
  ["an unaligned data start", file(`{"t":${F32}} `, 4), ["t"]],
  ["null metadata", file('{"__metadata__":null}'), []],
  ["empty metadata", file('{"__metadata__":{}}'), []],
  ["rank 0", tensor('{"dtype":"F32","shape":[],"data_offsets":[0,4]}', 4), ["t"]],
  ["a dim of 0", tensor('{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]}'), ["t"]],
  ["64 dims", tensor(`{"dtype":"F32","shape":[${Array(64).fill(1)}],"data_offsets":[0,4]}`, 4), ["t"]],
  ["four of six bits", tensor('{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}', 3), ["t"]],
  ["the length of a pickle", file(`{"t":${F32}}${" ".repeat(0x0280 - 53)}`, 4), ["t"]],
  ["an even count of F4", tensor('{"dtype":"F4","shape":[2],"data_offsets":[0,1]}', 1), ["t"]],
  [
    "names of object members",
    file(`{"__proto__":${at(0, 4)},"constructor":${at(4, 8)},"../x":${at(8, 12)}}`, 12),
    ["__proto__", "constructor", "../x"],
  ],
  ["tensors out of order", file(`{"b":${at(4, 8)},"a":${at(0, 4)}}`, 8), ["a", "b"]],
  ["an empty tensor between others", file(`{"a":${at(0, 4)},"e":${at(4, 4, 0)},"b":${at(4, 8)}}`, 8), ["a", "e", "b"]],
  ["a surrogate pair as escapes", file(`{"\\ud83d\\ude00":${F32}}`, 4), ["\u{1f600}"]],
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "malformed-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function save(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "case.safetensors");
  await writeFile(path, bytes);
  return path;
}

describe("refused", () => {
  it.each(BAD)("%s", async (_, bytes, message) => {
    const path = await save(bytes);
    const error: unknown = await readSafetensorsHeader(path).catch((thrown: unknown) => thrown);
    if (!(error instanceof CheckpointError)) expect.fail(`expected a CheckpointError, found ${String(error)}`);
    expect(error.message.startsWith(`${path}: `)).toBe(true);
    expect(error.message.length).toBeLessThan(600);
    if (typeof message === "string") expect(error.message).toContain(message);
    else expect(error.message).toMatch(message);
  });
});

describe("legal, though odd", () => {
  it.each(GOOD)("%s", async (_, bytes, names) => {
    expect([...(await readSafetensorsHeader(await save(bytes))).tensors.keys()]).toEqual(names);
  });
});

it("no prefix and no single flipped bit of a good header is taken for something else without an error or sense", async () => {
  const good = file(`{"__metadata__":{"a":"b"},"t":${at(0, 8)},"u":${at(8, 12)}}`, 12);
  for (let length = 0; length < good.length; length++) {
    await expect(readSafetensorsHeader(await save(good.subarray(0, length)))).rejects.toThrow(CheckpointError);
  }
  for (let bit = 0; bit < (good.length - 12) * 8; bit += 3) {
    const flipped = Uint8Array.from(good);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = await readSafetensorsHeader(await save(flipped)).catch((error: unknown) => error);
    // Only a changed letter of a name or of the metadata can pass; sizes still have to add up.
    if (read instanceof Error) expect(read).toBeInstanceOf(CheckpointError);
    else expect(read).toMatchObject({ sizeBytes: good.length });
  }
});
