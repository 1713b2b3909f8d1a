/**
 * Safetensors files that are wrong for another reason than a rule of the format: too much of something, dtypes that hold no floats, files that
 * change while they are read, and what is no regular file.
 */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readSafetensorsHeader, readTensorFloat32 } from "../../src/checkpoint/safetensors.js";
import { at, F32, file, tensor } from "./make-file.js";

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

describe("as much as a header may hold", () => {
  it("100,000 tensors are read", async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `t${i}`);
    const path = await save(file(`{${names.map((name) => `"${name}":${at(0, 0, 0)}`).join(",")}}`));
    expect((await readSafetensorsHeader(path)).tensors.size).toBe(100_000);
  });

  it.each([
    ["twelve million dims", `{"t":{"shape":[${"1,".repeat(12_000_000)}1]}}`, "of at most 64 numbers"],
    [
      "two million keys of metadata",
      `{"__metadata__":{${Array.from({ length: 2_000_000 }, (_, i) => `"${i.toString(36)}":""`).join(",")}}}`,
      "expected at most 500000 keys",
    ],
    ["a name of 24 MB", `{"${"x".repeat(24_000_000)}":${F32}}`, "expected tensor names of at most 4096 characters"],
    ["four million escapes", `{"${"\\u0041".repeat(4_000_000)}":${F32}}`, "expected tensor names of at most 4096"],
    ["24 MB of blanks", `{${" ".repeat(24_000_000)}`, "expected a quoted key"],
  ])("%s are refused soon and cheaply", async (_, header, message) => {
    const path = await save(file(header));
    const [startMs, peakBytes] = [performance.now(), process.resourceUsage().maxRSS * 1024];
    await expect(readSafetensorsHeader(path)).rejects.toThrow(message);
    // Seconds and hundreds of megabytes would be the fault; the bounds leave room for a busy machine.
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(process.resourceUsage().maxRSS * 1024 - peakBytes).toBeLessThan(300e6);
  });
});

describe("where floats are wanted", () => {
  it.each(["I64", "U64", "C64", "I32", "U8", "BOOL", "F8_E8M0", "F4"])("%s is named", async (dtype) => {
    const bytes = /64$/.test(dtype) ? 16 : /32$/.test(dtype) ? 8 : dtype === "F4" ? 1 : 2;
    const path = await save(tensor(`{"dtype":"${dtype}","shape":[2],"data_offsets":[0,${bytes}]}`, bytes));
    const read = readTensorFloat32(await readSafetensorsHeader(path), "t");
    await expect(read).rejects.toThrow(
      `tensor "t": expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found ${dtype}. Save`,
    );
  });
});

describe("a file that is not what its name says, or not what it was", () => {
  it("safetensors called .pt is read", async () => {
    const path = join(folder, "model.pt");
    await writeFile(path, tensor(F32, 4));
    expect([...(await openCheckpoint(path)).tensors.keys()]).toEqual(["t"]);
  });

  it("one replaced after its header was read is refused, even with the same size and time", async () => {
    const path = await save(tensor(F32, 4));
    const time = new Date(1_700_000_000_000);
    await utimes(path, time, time);
    const opened = await readSafetensorsHeader(path);
    const other = join(folder, "other");
    await writeFile(other, tensor(F32, 4));
    await utimes(other, time, time);
    await rename(other, path);
    await expect(readTensorFloat32(opened, "t")).rejects.toThrow("found one that changed meanwhile");
  });

  it("one written to in place after its header was read is refused", async () => {
    const path = await save(tensor(F32, 4));
    const opened = await readSafetensorsHeader(path);
    await utimes(path, 1, 1);
    await expect(readTensorFloat32(opened, "t")).rejects.toThrow("found one that changed meanwhile");
  });
});

describe("not a regular file", () => {
  it("a directory", async () => {
    await expect(readSafetensorsHeader(folder)).rejects.toThrow("expected a safetensors file, found a directory");
  });

  it("a missing file and a dangling link", async () => {
    await symlink(join(folder, "nowhere"), join(folder, "link"));
    await expect(readSafetensorsHeader(join(folder, "none"))).rejects.toThrow(/expected a readable file \(ENOENT/);
    await expect(readSafetensorsHeader(join(folder, "link"))).rejects.toThrow(/expected a readable file \(ENOENT/);
  });

  it.skipIf(process.platform === "win32")("a file and a folder that may not be read", async () => {
    const [closed, model] = [join(folder, "closed"), join(folder, "closed.safetensors")];
    await mkdir(closed, { mode: 0 });
    await writeFile(model, tensor(F32, 4), { mode: 0 });
    await chmod(folder, 0o755);
    // Root may read everything, so that it becomes nobody meanwhile.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      await expect(readSafetensorsHeader(model)).rejects.toThrow(/expected a readable file \(EACCES/);
      await expect(openCheckpoint(closed)).rejects.toThrow(/closed: expected a readable folder \(EACCES/);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it.skipIf(process.platform === "win32")("a device and a pipe without a writer", async () => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await expect(readSafetensorsHeader("/dev/zero")).rejects.toThrow("found a device, pipe or socket");
    await expect(readSafetensorsHeader(join(folder, "pipe"))).rejects.toThrow("found a device, pipe or socket");
  });
});
