/** Archives whose sizes and headers are wrong: each is refused by name, and the walk through one always ends. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTar } from "../../../src/data/readers/tar-entries.js";
import { DataError } from "../../../src/errors.js";
import { paxOf, type TarMember, tarOf } from "../../support/tar.js";
import { temporaryFolder } from "../temporary-folder.js";

const root = temporaryFolder();
const picture = { name: "a.png", content: Buffer.from("pixels") };

async function walk(bytes: Uint8Array, name = "0.tar") {
  const path = join(root, name);
  writeFileSync(path, bytes);
  const tar = await openTar(path);
  try {
    const found: [string, string][] = [];
    for await (const entry of tar.entries())
      found.push([entry.name, Buffer.from(await tar.read(entry)).toString("latin1")]);
    return found;
  } finally {
    await tar.close();
  }
}

async function failureOf(bytes: Uint8Array): Promise<string> {
  const failure = await walk(bytes).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(DataError);
  expect(String(failure)).toContain(join(root, "0.tar"));
  return String(failure);
}

const pax = (records: Readonly<Record<string, string>>): TarMember => ({
  name: "PaxHeader",
  type: "x",
  content: paxOf(records),
});

describe("a pax header", () => {
  test("gives the next file its name and size, with line breaks and letters of any language", async () => {
    const name = "b\nü=c.png";
    expect(await walk(tarOf([pax({ path: name, size: "6" }), picture, { ...picture, name: "d.png" }]))).toEqual([
      ...[
        [name, "pixels"],
        ["d.png", "pixels"],
      ],
    ]);
  });

  test("may be global or have padding", async () => {
    const global = { ...pax({ comment: "x" }), type: "g" };
    const padded = { ...pax({}), content: Buffer.concat([paxOf({ path: "p" }), Buffer.alloc(9)]) };
    expect(await walk(tarOf([global, padded, picture]))).toEqual([["p", "pixels"]]);
  });

  test.each(["-1536", "1e300", "1e3", "0x10", "", " 6", "NaN", "99999999999999999999", "9007199254740993"])(
    "with the size %j is refused",
    async (size) => {
      expect(await failureOf(tarOf([pax({ size }), picture]))).toContain(
        `byte 512: expected the size of a file in the pax header, found "${size}"`,
      );
    },
  );

  test("with a size that the archive has not is refused", async () => {
    expect(await failureOf(tarOf([pax({ size: "9007199254740991" }), picture]))).toMatch(
      /byte 1024: expected a file inside the archive's \d+ bytes, found one of 9007199254740991 bytes/,
    );
  });

  test.each(["0 size=1\n", "999 a=b\n", "5 a=b\nrest", "x", "8 size:1\n"])(
    "with the record %j is refused",
    async (text) => {
      const broken = { name: "x", type: "x", content: Buffer.from(text) };
      expect(await failureOf(tarOf([broken, picture]))).toContain("expected a record of a pax header");
    },
  );

  test("does not give its size to the headers of the name in between", async () => {
    const long = { name: "././@LongLink", type: "L", content: Buffer.from("long.png\0") };
    expect(await walk(tarOf([pax({ size: "6" }), long, picture]))).toEqual([["long.png", "pixels"]]);
  });
});

test.each([
  ["not octal", Buffer.from("0000000009x\0"), 'found "0000000009x"'],
  ["negative", Buffer.from("-0000000777\0"), 'found "-0000000777"'],
  ["negative in base 256", Buffer.alloc(12, 0xff), "expected the size of a file"],
  ["larger than the archive", Buffer.from("77777777777\0"), "found one of 8589934591 bytes"],
])("a size that is %s is refused", async (_, size, message) => {
  expect(await failureOf(tarOf([{ ...picture, size }]))).toContain(message);
});

test("what is no regular file is refused before it is opened", async () => {
  const fifo = join(root, "fifo.tar");
  execFileSync("mkfifo", [fifo]);
  mkdirSync(join(root, "folder.tar"));
  await expect(openTar(fifo)).rejects.toThrow(`${fifo}: expected a tar archive, found a device, pipe or socket`);
  await expect(openTar("/dev/zero")).rejects.toThrow(
    "/dev/zero: expected a tar archive, found a device, pipe or socket",
  );
  await expect(openTar(join(root, "folder.tar"))).rejects.toThrow("expected a tar archive, found a directory");
});
