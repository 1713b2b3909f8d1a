/** Zip archives of PyTorch files that are wrong, damaged or hostile: each is refused with its reason. */
import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/errors.js";
import { dictOf, parts, tensor, type ZipPart, zip } from "./make-torch-file.js";
import { temporaryCases } from "./torch-cases.js";

const cases = temporaryCases();
const sixBytes = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer);

describe("zip archives", () => {
  const sound = () => parts(dictOf(tensor()), sixBytes);
  const changed = (index: number, change: Partial<ZipPart>) =>
    sound().map((part, i) => (i === index ? { ...part, ...change } : part));
  const deflated = deflateRawSync(sixBytes);
  it.each([
    [
      "a compressed record",
      zip(changed(2, { data: deflated, method: 8, declaredBytes: 24, packedBytes: deflated.length })),
      /uncompressed records, .* found "f\/data\/0" compressed/,
    ],
    [
      "a zip bomb",
      zip(
        changed(2, {
          data: deflateRawSync(new Uint8Array(1e8)),
          method: 8,
          declaredBytes: 1e8,
          packedBytes: deflateRawSync(new Uint8Array(1e8)).length,
        }),
      ),
      /uncompressed records/,
    ],
    ["encryption", zip(changed(2, { flags: 1 })), /without encryption or other options, found flags 0x1/],
    ["patched data", zip(changed(2, { flags: 0x20 })), /found flags 0x20/],
    ["strong encryption", zip(changed(2, { flags: 0x40 })), /found flags 0x40/],
    [
      "another name in the local header",
      zip(changed(2, { localName: "f/data/9" })),
      /record "f\/data\/0" at \d+, as the directory says, found another/,
    ],
    [
      "another size in the local header",
      zip(changed(2, { localBytes: 20 })),
      /record "f\/data\/0" at \d+, as the directory says/,
    ],
    [
      "a size past the next record",
      zip(changed(2, { declaredBytes: 300 })),
      /record "f\/version" to begin at \d+, where the one before it ends/,
    ],
    ["a size past the end", zip(changed(3, { declaredBytes: 3000 })), /the directory of records to begin at/],
    [
      "a hole between records",
      zip(changed(2, { data: new Uint8Array(99), declaredBytes: 24, localBytes: 24 })),
      /record "f\/version" to begin at \d+, where the one before it ends/,
    ],
    ["a record twice", zip([...sound(), ...sound().slice(2, 3)]), /every record once, found "f\/data\/0" twice/],
    [
      "two data.pkl",
      zip([...sound(), { name: "g/data.pkl", data: "" }]),
      /expected a PyTorch file, found another zip archive/,
    ],
    ["../ in a name", zip([...sound(), { name: "f/../x", data: "" }]), /plain names of records, found "f\/..\/x"/],
    ["an absolute name", zip([...sound(), { name: "/x", data: "" }]), /plain names of records/],
    ["a backslash", zip([...sound(), { name: "f\\x", data: "" }]), /plain names of records/],
    [
      "a name that is no text",
      zip([...sound(), { name: "f/x", data: "" }]).map((b) => (b === 0x78 ? 0xff : b)),
      /plain names of records, found one that is too long or not text/,
    ],
    ["a wrong checksum", zip(changed(0, { crc: 1 })), /the checksum of "f\/data.pkl" to fit/],
    ["big-endian numbers", zip(changed(1, { data: "big" })), /little-endian order, found "big"/],
    ["more records than the directory has", zip(sound(), { count: 5 }), /5 records in the directory, found 4/],
    ["fewer records than the directory has", zip(sound(), { count: 3 }), /3 records in the directory, found more/],
    [
      "junk before it",
      Buffer.concat([Buffer.from("PK\x03\x04junk"), zip(sound())]),
      /bytes before or inside the archive/,
    ],
    [
      "junk before a long one",
      Buffer.concat([Buffer.from("PK\x03\x04junk"), zip(sound(), { isLong: true })]),
      /bytes before or inside the archive/,
    ],
    [
      "junk after it",
      Buffer.concat([zip(sound()), Buffer.from("junk")]),
      /the end of a zip archive at the end of the file/,
    ],
    ["nothing after the first bytes", Buffer.from("PK\x03\x04"), /truncated/],
    ["no records", Buffer.concat([Buffer.from("PK\x03\x04"), zip([])]), /bytes before or inside/],
    ["another archive", zip([{ name: "a.txt", data: "a" }]), /found another zip archive \("a.txt"\)/],
    [
      "TorchScript's mark on a state dict",
      zip([...sound(), { name: "f/constants.pkl", data: "" }]),
      /expected a module, found/,
    ],
    [
      "a package",
      zip([...sound(), { name: "f/.data/extern_modules", data: "" }]),
      /found a package of models with their code/,
    ],
    ["an exported program", zip([...sound(), { name: "f/archive_format", data: "pt2" }]), /found an exported program/],
    [
      "an older exported program",
      zip([{ name: "serialized_exported_program.json", data: "" }]),
      /found an exported program/,
    ],
    [
      "TorchScript of PyTorch 1.0",
      zip([{ name: "f/model.json", data: "{}" }]),
      /a TorchScript program of PyTorch before 1.4/,
    ],
  ])("%s", async (_, bytes, message) => {
    await cases.expectRefusal(Uint8Array.from(bytes), message);
  });

  it("a tensor's wrong checksum is found where the file is read whole", async () => {
    const damaged = await cases.open(zip(changed(2, { crc: 7 })));
    await expect(damaged.tensorSha256s(["t"])).rejects.toThrow(
      /tensor "t": expected bytes of the checksum in the file, found others: it is damaged/,
    );
    // PyTorch can be told to write none.
    const without = await cases.open(zip(sound().map((part) => ({ ...part, crc: 0 }))));
    expect(await without.tensorSha256s(["t"])).toEqual(await (await cases.open(zip(sound()))).tensorSha256s(["t"]));
  });

  it("truncated anywhere, it is refused", async () => {
    const whole = zip(sound(), { isLong: true });
    for (let length = 4; length < whole.length; length += 7)
      await cases.expectRefusal(whole.subarray(0, length), /not a valid PyTorch file|expected a PyTorch file/);
  });

  it("with any byte changed, it is read or refused with its reason", async () => {
    const whole = zip(sound());
    const outcomes = { read: 0, refused: 0 };
    for (let at = 4; at < whole.length; at++) {
      const bytes = Uint8Array.from(whole);
      bytes[at] = at % 2 === 0 ? 0xff : (whole[at] ?? 0) ^ 1;
      try {
        const found = await cases.open(bytes);
        for (const name of found.tensors.keys()) await found.readFloat32(name).catch(requireRefusal);
        outcomes.read++;
      } catch (error) {
        requireRefusal(error);
        outcomes.refused++;
      }
    }
    expect(outcomes.read).toBeGreaterThan(20);
    expect(outcomes.refused).toBeGreaterThan(300);
  });
});

function requireRefusal(error: unknown): void {
  if (!(error instanceof CheckpointError)) throw error;
}
