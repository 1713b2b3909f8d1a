/**
 * Which commit the git checkout around a folder is at, read from git's files: no process is started, and nothing in the checkout's configuration is
 * obeyed. Where git keeps its files otherwise (reftable), or they are damaged, nothing is known; no run fails for that.
 * Source: gitrepository-layout(5).
 */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { withoutCredentials } from "./credentials.js";

export interface GitCheckout {
  readonly gitCommit: string;
  /** None where a commit is checked out by itself. */
  readonly gitBranch?: string;
  /** The remote `origin`, without user and password. */
  readonly gitRepository?: string;
}

/** HEAD and references have a line; packed-refs of the largest repositories some megabytes. More is no file of git's. */
const MAX_BYTES = 64_000_000;
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** Of the innermost checkout that `folder` lies in. */
export async function gitCheckout(folder: string): Promise<GitCheckout | undefined> {
  const git = await gitFolder(path.resolve(folder));
  const head = git && (await textOf(path.join(git, "HEAD")))?.trim();
  if (git === undefined || head === undefined) return undefined;
  const common = path.resolve(git, (await textOf(path.join(git, "commondir")))?.trim() ?? "");
  const reference = /^ref: (refs\/.+)$/.exec(head)?.[1];
  const commit = reference === undefined ? head : await commitOf(reference, [git, common]);
  if (commit === undefined || !COMMIT.test(commit)) return undefined;
  const branch = reference?.replace(/^refs\/heads\//, "");
  const repository = originOf((await textOf(path.join(common, "config"))) ?? "");
  return {
    gitCommit: commit,
    ...(branch === undefined ? {} : { gitBranch: branch }),
    ...(repository === undefined ? {} : { gitRepository: withoutCredentials(repository) }),
  };
}

/** The `.git` above the folder, or what it points to: a worktree or submodule has a file there. */
async function gitFolder(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = path.dirname(at)) {
    const place = path.join(at, ".git");
    const found = await stat(place).catch(() => undefined);
    if (found?.isDirectory()) return place;
    const pointer = found?.isFile() ? /^gitdir: (.+)$/m.exec((await textOf(place)) ?? "")?.[1] : undefined;
    if (pointer !== undefined) return path.resolve(at, pointer.trim());
    if (at === path.dirname(at)) return undefined;
  }
}

async function commitOf(reference: string, folders: readonly string[]): Promise<string | undefined> {
  // A name from a file becomes a path: it stays below the folder.
  if (reference.split("/").includes("..")) return undefined;
  for (const folder of folders) {
    const loose = await textOf(path.join(folder, reference));
    if (loose !== undefined) return loose.trim();
    const packed = (await textOf(path.join(folder, "packed-refs"))) ?? "";
    const line = packed.split("\n").find((each) => each.endsWith(` ${reference}`));
    if (line !== undefined) return line.split(" ")[0];
  }
  return undefined;
}

function originOf(config: string): string | undefined {
  const section = /^\[remote "origin"\]$([^[]*)/m.exec(config)?.[1] ?? "";
  return /^\s*url\s*=\s*(\S+)\s*$/m.exec(section)?.[1];
}

async function textOf(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true || found.size > MAX_BYTES) return undefined;
  return readFile(file, "utf8").catch(() => undefined);
}
