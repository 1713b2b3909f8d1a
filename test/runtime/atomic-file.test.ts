import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.js";
import { withAtomicDirectory, withAtomicFile, writeFileAtomic } from "../../src/runtime/atomic-file.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const fails = async () => {
  throw new Error("stopped");
};

describe("files", () => {
  it("are written whole, into folders that are made", async () => {
    const path = join(folder, "a", "b.txt");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, Uint8Array.of(0x74, 0x77, 0x6f));
    expect(await readFile(path, "utf8")).toBe("two");
    expect(await readdir(join(folder, "a"))).toEqual(["b.txt"]);
  });

  it("are replaced, not truncated: an open file keeps its content", async () => {
    const path = join(folder, "x");
    await writeFileAtomic(path, "one");
    const before = await stat(path);
    await writeFileAtomic(path, "two");
    expect((await stat(path)).ino).not.toBe(before.ino);
  });

  it("keep the old content and leave nothing when writing fails", async () => {
    const path = join(folder, "x");
    await writeFileAtomic(path, "old");
    const partly = withAtomicFile(path, async (file) => {
      await file.writeFile("half");
      await fails();
    });
    await expect(partly).rejects.toThrow("stopped");
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["x"]);
  });

  it("say what to do when the disk refuses", async () => {
    await writeFile(join(folder, "file"), "");
    const error: unknown = await writeFileAtomic(join(folder, "file", "x"), "").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toMatch(
      /could not be written \((EEXIST|ENOTDIR).*\)\. What to do: a parent of this path is a file/,
    );
    await mkdir(join(folder, "taken"));
    await expect(writeFileAtomic(join(folder, "taken"), "")).rejects.toThrow(/this path is a directory/);
    expect((await readdir(folder)).toSorted()).toEqual(["file", "taken"]);
  });

  it.skipIf(process.getuid?.() === 0)("name a folder without permission", async () => {
    await chmod(folder, 0o500);
    await expect(writeFileAtomic(join(folder, "x"), "")).rejects.toThrow(/check the permissions of the folder/);
    await chmod(folder, 0o700);
  });

  it("by many writers at once are one of the contents", async () => {
    const path = join(folder, "x");
    const contents = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(1000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    expect(contents).toContain(await readFile(path, "utf8"));
    expect(await readdir(folder)).toEqual(["x"]);
  });
});

describe("directories", () => {
  const fill = (content: string) => async (path: string) => {
    await mkdir(join(path, "sub"));
    await writeFile(join(path, "sub", "file"), content);
  };

  it("appear whole, also over an empty folder", async () => {
    await mkdir(join(folder, "empty"));
    for (const name of ["new", "empty"]) {
      await withAtomicDirectory(join(folder, name), async (path) => {
        await fill(name)(path);
        expect(await readdir(join(folder, name)).catch(() => [])).toEqual([]);
      });
      expect(await readFile(join(folder, name, "sub", "file"), "utf8")).toBe(name);
    }
    expect((await readdir(folder)).toSorted()).toEqual(["empty", "new"]);
  });

  it("that are not empty are refused before any work, unless replaced", async () => {
    const path = join(folder, "x");
    await withAtomicDirectory(path, fill("old"), { manifest: true });
    await expect(withAtomicDirectory(path, fails)).rejects.toThrow(
      /expected a new or empty folder, found 2 entries \(\.adamerge-files\.json, sub\)/,
    );
    await expect(withAtomicDirectory(path, fails, { replace: {} })).rejects.toThrow("stopped");
    expect(await readFile(join(path, "sub", "file"), "utf8")).toBe("old");
    await withAtomicDirectory(path, fill("new"), { replace: {} });
    expect(await readFile(join(path, "sub", "file"), "utf8")).toBe("new");
    expect(await readdir(folder)).toEqual(["x"]);
  });

  it("filled by someone else meanwhile are not lost", async () => {
    const path = join(folder, "x");
    const raced = withAtomicDirectory(path, async () => {
      await mkdir(path);
      await writeFile(join(path, "other"), "theirs");
    });
    await expect(raced).rejects.toThrow(/expected a new or empty folder/);
    expect(await readFile(join(path, "other"), "utf8")).toBe("theirs");
    expect(await readdir(folder)).toEqual(["x"]);
  });

  it("leave nothing when filling fails", async () => {
    const partly = withAtomicDirectory(join(folder, "x"), async (path) => {
      await fill("half")(path);
      await fails();
    });
    await expect(partly).rejects.toThrow("stopped");
    expect(await readdir(folder)).toEqual([]);
  });
});
