/**
 * One writer per directory: a lock file with process, machine and time, created so that of two processes only one succeeds. A lock whose
 * process on this machine is gone is stale and taken over; one from another machine is never judged.
 */
import { open, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { pid } from "node:process";
import { setTimeout } from "node:timers/promises";
import { UserError } from "../errors.js";

export interface Lock {
  /** Removes the lock file. */
  release(): Promise<void>;
}

/** Another process has the lock; the message says which, and what to do. */
export class LockHeldError extends UserError {}

/** How often a lock that another process has is tried again. */
const RETRY_MS = 250;
/** A lock file is written well within this. */
const WRITING_MS = 200;

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** Takes the lock at `path`. Throws LockHeldError that names the holder, and what to do, when another process has it. */
export async function acquireLock(path: string, what: string, now: () => Date = () => new Date()): Promise<Lock> {
  const text = `${JSON.stringify({ pid, host: hostname(), since: now().toISOString() } satisfies Holder)}\n`;
  for (let attempt = 0; ; attempt++) {
    if (await create(path, text)) return { release: () => rm(path, { force: true }) };
    // A lock that cannot be read is being written, or was cut off by a crash.
    const holder = (await readHolder(path)) ?? (await setTimeout(WRITING_MS).then(() => readHolder(path)));
    if (attempt < 1 && (holder === undefined || isGone(holder))) {
      await rm(path, { force: true });
      continue;
    }
    const by =
      holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
    throw new LockHeldError(`${what}: in use by ${by}. Wait for it, or delete ${path} if that process is gone`);
  }
}

/** Takes the lock at `path` as soon as nobody has it; `onWait` is told once who has it. Throws what `signal` is aborted with. */
export async function waitForLock(
  path: string,
  what: string,
  { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: (message: string) => void },
): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await acquireLock(path, what);
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error;
      if (attempt === 0) onWait(error.message);
    }
    await setTimeout(RETRY_MS, undefined, { signal });
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.writeFile(text);
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const [holderPid, host, since] = ["pid", "host", "since"].map((key) => Reflect.get(value, key));
    return { pid: Number(holderPid), host: String(host), since: String(since) };
  } catch {
    return undefined;
  }
}

/** Whether the holder ran on this machine and is no more. */
function isGone({ pid: holder, host }: Holder): boolean {
  if (host !== hostname() || !Number.isInteger(holder) || holder <= 0) return false;
  if (holder === pid) return false;
  try {
    process.kill(holder, 0);
    return false;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}
