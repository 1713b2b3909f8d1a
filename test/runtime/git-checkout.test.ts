/** The commit of a checkout, from git's own files: loose and packed references, a worktree, a commit by itself, and what is no checkout. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { gitCheckout } from "../../src/runtime/git-checkout.js";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
let root: string;
const write = async (name: string, text: string): Promise<void> => {
  await mkdir(path.dirname(path.join(root, name)), { recursive: true });
  await writeFile(path.join(root, name), text);
};

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "adamerge-git-"));
});
afterEach(() => rm(root, { recursive: true }));

it("is found from a folder below, with branch and origin, which has no password", async () => {
  await write(".git/HEAD", "ref: refs/heads/a/branch\n");
  await write(".git/refs/heads/a/branch", `${COMMIT}\n`);
  await write(
    ".git/config",
    '[core]\n\tbare = false\n[remote "origin"]\n\turl = https://me:pw@host/org/repo.git\n\tfetch = x\n',
  );
  await mkdir(path.join(root, "below", "deeper"), { recursive: true });
  expect(await gitCheckout(path.join(root, "below", "deeper"))).toEqual({
    gitCommit: COMMIT,
    gitBranch: "a/branch",
    gitRepository: "https://***@host/org/repo.git",
  });
});

it("of a worktree is read from the folder that it points to, and a packed reference from packed-refs", async () => {
  await write("tree/.git", "gitdir: ../main/.git/worktrees/tree\n");
  await write("main/.git/worktrees/tree/HEAD", "ref: refs/heads/other\n");
  await write("main/.git/worktrees/tree/commondir", "../..\n");
  await write("main/.git/packed-refs", `# pack-refs with: peeled\n${COMMIT} refs/heads/other\n`);
  expect(await gitCheckout(path.join(root, "tree"))).toEqual({ gitCommit: COMMIT, gitBranch: "other" });
});

it("may be at a commit by itself", async () => {
  await write(".git/HEAD", `${COMMIT}\n`);
  expect(await gitCheckout(root)).toEqual({ gitCommit: COMMIT });
});

it.each([
  ["no commit yet", "ref: refs/heads/main\n"],
  ["a reference that leads out", "ref: refs/../../outside\n"],
  ["something else", "?\n"],
])("with %s is none", async (_, head) => {
  await write("outside", COMMIT);
  await write(".git/HEAD", head);
  expect(await gitCheckout(root)).toBeUndefined();
});
