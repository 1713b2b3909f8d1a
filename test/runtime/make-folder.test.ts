/** Folders are made with those they lie in, and a system that refuses for good is asked no third time. */
import { mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeFolder } from "../../src/runtime/make-folder.js";
import { temporaryFolder } from "../support/cli.js";

it("makes all that is missing, and takes what is there", async () => {
  const folder = await temporaryFolder();
  await Promise.all([1, 2, 3].map(() => makeFolder(join(folder, "a", "b", "c"))));
  await makeFolder(join(folder, "a", "b", "c"));
  expect((await stat(join(folder, "a", "b", "c"))).isDirectory()).toBe(true);
});

it("throws for a file, a link to nothing and a parent that is a file", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "file"), "");
  await symlink("/nothing/here", join(folder, "link"));
  await mkdir(join(folder, "kept"));
  await expect(makeFolder(join(folder, "file"))).rejects.toThrow(/EEXIST/);
  await expect(makeFolder(join(folder, "link"))).rejects.toThrow(/EEXIST/);
  await expect(makeFolder(join(folder, "file", "x", "y"))).rejects.toThrow(/ENOTDIR/);
});

// There the system says that the parent is missing: Node's own recursive mkdir asks for ever.
it.runIf(process.platform === "linux")("ends below /proc", async () => {
  await expect(makeFolder("/proc/adamerge/a/b")).rejects.toThrow(/ENOENT/);
});
