/**
 * One writer per directory: a lock file with a token, the process that holds it and when it began. A lock whose process is gone is taken
 * over, by one process alone. Whether it is gone says the process table where that is the holder's too; of other machines and
 * containers the holder's signs of life say it: the lock's file is written again every BEAT_MS.
 */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { UserError } from "../errors.js";
import { startHeart } from "./lock-heart.js";
import { hasProcess, ownIdentity, type ProcessIdentity, startOf, startTimeMs } from "./process-identity.js";

export interface Lock {
  /** Throws LockLostError when another process has the lock by now: whoever holds it asks before it writes. */
  check(): Promise<void>;
  /** Removes the lock file, if it is still this lock's; `path`: where it is now if its folder was moved. */
  release(path?: string): Promise<void>;
}

/** Another process has the lock; the message says which, and what to do. */
export class LockHeldError extends UserError {}

/** Another process took the lock over, because this one gave no sign of life. */
export class LockLostError extends UserError {}

export interface LockTiming {
  readonly beatMs: number;
  readonly staleMs: number;
}

export interface LockOptions {
  readonly now?: () => Date;
  /** Ends the waiting for a sign of life of another machine's process, by throwing what it is aborted with. */
  readonly signal?: AbortSignal;
  /** Told once what is waited for. */
  readonly onWait?: (message: string) => void;
  readonly timing?: LockTiming;
}

/**
 * Twelve beats may be missed. The beats come from a thread of their own, so that no computation delays them; what does is a file server that is
 * away (NFS gives clients 90 s to come back), and a machine that is put to sleep. A holder that was away longer finds its lock taken
 * over (`check`) and stops writing.
 */
const TIMING: LockTiming = { beatMs: 10_000, staleMs: 120_000 };
/** Before a lock counts as dead it is looked at for this many beats: a machine that woke up shall have the time for one. */
const BEATS_LOOKED_AT = 1.5;
/** Locks without a token are of versions that gave no signs of life; fits longer than this went on with checkpoints. */
const OLD_STALE_MS = 24 * 3600 * 1000;
/** A process that began so much later than the lock is not its holder; clocks are set by less than this. */
const CLOCK_SLACK_MS = 60_000;
/** How often a lock that another process has is tried again. */
const RETRY_MS = 250;
/** A lock file is written well within this. */
const WRITING_MS = 2000;
/** A takeover takes some milliseconds. */
const TAKEOVER_MS = 10_000;

interface Holder extends ProcessIdentity {
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly token?: string | undefined;
}

interface Found {
  readonly holder: Holder | undefined;
  readonly modifiedMs: number;
  /** Of the last sign of life, by the clock of the file system. */
  readonly ageMs: number;
}

/** Tokens of the locks that this process has: where processes are known by number only, they tell our own from a reused number. */
const own = new Set<string>();

/**
 * Takes the lock at `path`. Throws LockHeldError that names the holder, and what to do, when another process has it. When it cannot be known at
 * once whether that one lives, waits for its next sign of life, at most for `staleMs`.
 */
export async function acquireLock(path: string, what: string, options: LockOptions = {}): Promise<Lock> {
  const { now = () => new Date(), timing = TIMING } = options;
  const identity = await ownIdentity();
  const token = randomUUID();
  const text = `${JSON.stringify({ ...identity, since: now().toISOString(), token } satisfies Holder)}\n`;
  const mine = `${path}.${token}`;
  await writeFile(mine, text, { flag: "wx", flush: true });
  try {
    await take({ path, mine, what, identity, options });
    own.add(token);
  } finally {
    await rm(mine, { force: true });
  }
  const stop = startHeart(path, text, timing.beatMs);
  const isMine = async (at: string): Promise<boolean> => (await readHolder(at))?.token === token;
  return {
    async check() {
      if (await isMine(path)) return;
      const other = await readHolder(path);
      throw new LockLostError(
        `${what}: the lock ${path} was ${other === undefined ? "removed" : `taken over by ${nameOf(other)}`} while this process held it; it stops here and writes no more`,
      );
    },
    async release(at = path) {
      stop();
      if (await isMine(at)) await rm(at, { force: true });
      own.delete(token);
    },
  };
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
      return await acquireLock(path, what, { signal });
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error;
      if (attempt === 0) onWait(error.message);
    }
    await pause(RETRY_MS, signal);
  }
}

interface Attempt {
  readonly path: string;
  /** A file of one's own with what the lock file shall hold. */
  readonly mine: string;
  readonly what: string;
  readonly identity: ProcessIdentity;
  readonly options: LockOptions;
}

/** Throws what `signal` is aborted with. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimeout(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  signal?.throwIfAborted();
}

/** Puts `mine` in the place of the lock. Throws LockHeldError. */
async function take(attempt: Attempt): Promise<void> {
  const { path, mine, what, identity, options } = attempt;
  const { signal, onWait, timing = TIMING } = options;
  let looked: { readonly first: Found; readonly since: number } | undefined;
  for (const begun = performance.now(); ; ) {
    signal?.throwIfAborted();
    if (await create(mine, path)) return;
    const found = await look(path, mine);
    if (found === undefined) continue;
    const verdict = await judge(found, identity);
    const isSame = looked?.first.modifiedMs === found.modifiedMs && looked.first.holder?.token === found.holder?.token;
    if (verdict === "held") throw held(attempt, found);
    const isCutOff = verdict === "unread" && performance.now() - begun > WRITING_MS;
    if (verdict === "gone" || isCutOff) {
      if (await takeOver(attempt, found.holder)) return;
      // Somebody else is about to: soon there is a lock that is held.
      if (performance.now() - begun > TAKEOVER_MS) throw held(attempt, found);
      await pause(5 + 20 * Math.random(), signal);
    } else if (verdict === "unread") await pause(RETRY_MS, signal);
    else if (looked !== undefined && !isSame) throw held(attempt, found);
    else {
      if (looked === undefined)
        onWait?.(
          `${what}: waits for a sign of life of ${nameOf(found.holder)}; without one its lock counts as left behind ${timing.staleMs / 1000} s after the last`,
        );
      looked ??= { first: found, since: performance.now() };
      const lookedMs = performance.now() - looked.since;
      // A time in the future says nothing; then it is this long that nothing was seen.
      const isStale = Math.max(found.ageMs, lookedMs) > timing.staleMs && lookedMs > BEATS_LOOKED_AT * timing.beatMs;
      if (isStale && (await takeOver(attempt, found.holder))) return;
      await pause(Math.min(1000, timing.beatMs / 4), signal);
    }
  }
}

/** "unknown": its signs of life have to say it; "unread": it is being written. */
async function judge({ holder, ageMs }: Found, self: ProcessIdentity): Promise<"held" | "gone" | "unknown" | "unread"> {
  // Without a holder in it, the file was cut off by a crash.
  if (holder === undefined) return ageMs > WRITING_MS ? "gone" : "unread";
  if (holder.token !== undefined && own.has(holder.token)) return "held";
  const isOneTable = holder.boot !== undefined && holder.boot === self.boot && holder.namespace === self.namespace;
  if (isOneTable && holder.start !== undefined) return (await startOf(holder.pid)) === holder.start ? "held" : "gone";
  const isHere = holder.host === self.host && holder.boot === undefined;
  // Where it is not one of ours, our own number was used before.
  const isGone = isHere && (holder.pid === self.pid || !hasProcess(holder.pid));
  if (isGone) return "gone";
  if (holder.token !== undefined) return "unknown";
  if (!isHere) return ageMs > OLD_STALE_MS ? "gone" : "held";
  return (await startedLater(holder)) ? "gone" : "held";
}

/** Whether the process of the holder's number began after the lock was made. */
async function startedLater({ pid, since }: Holder): Promise<boolean> {
  // Only a whole time can be compared.
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:/.test(since)) return false;
  const start = await startOf(pid);
  const startedMs = start === undefined ? undefined : await startTimeMs(start);
  return startedMs !== undefined && startedMs > Date.parse(since) + CLOCK_SLACK_MS;
}

/**
 * Replaces the lock of a holder that is gone. Only who has the lock of the takeover may do that, and looks again before it does: of several
 * processes that found the same dead lock, the later ones find the first one's. False when another is at it, or the lock has changed.
 */
async function takeOver({ path, mine, what, options }: Attempt, holder: Holder | undefined): Promise<boolean> {
  const { timing = TIMING } = options;
  // Its own dead holders are taken over the same way; nobody dies there so often that this becomes long.
  const guard = await acquireLock(`${path}.takeover`, what, { ...options, timing }).catch((error: unknown) => {
    if (error instanceof LockHeldError) return undefined;
    throw error;
  });
  if (guard === undefined) return false;
  try {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined || parsed(text)?.token !== holder?.token || parsed(text)?.since !== holder?.since)
      return false;
    await guard.check();
    await rename(mine, path);
    return true;
  } finally {
    await guard.release();
  }
}

/** Gives the file `mine` the name `path` too, unless something has it. The lock is never seen half written. */
async function create(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // An answer that was lost on the way to a file server is asked for again, and finds the work done.
    if (code === "EEXIST") return (await stat(mine)).nlink === 2;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(String(code))) throw error;
  }
  // File systems without hard links (FAT, some of the cloud's).
  try {
    const file = await open(path, "wx");
    await file.writeFile(await readFile(mine));
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** The lock and its age, by the file system's own clock: that of a file just written. Undefined when it is gone by now. */
async function look(path: string, mine: string): Promise<Found | undefined> {
  try {
    const text = await readFile(path, "utf8");
    const { mtimeMs } = await stat(path);
    await writeFile(mine, await readFile(mine), { flag: "r+", flush: true });
    return { holder: parsed(text), modifiedMs: mtimeMs, ageMs: (await stat(mine)).mtimeMs - mtimeMs };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  return parsed(await readFile(path, "utf8").catch(() => ""));
}

function parsed(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const textAt = (key: string): string | undefined => {
      const found: unknown = Reflect.get(value, key);
      return typeof found === "string" ? found : undefined;
    };
    const pid: unknown = Reflect.get(value, "pid");
    const [host, since] = [textAt("host"), textAt("since")];
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
    if (host === undefined || since === undefined) return undefined;
    const more = { boot: textAt("boot"), namespace: textAt("namespace"), start: textAt("start") };
    return { pid, host, since, token: textAt("token"), ...more };
  } catch {
    return undefined;
  }
}

function nameOf(holder: Holder | undefined): string {
  return holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
}

function held({ path, what }: Attempt, { holder, ageMs }: Found): LockHeldError {
  const life = holder?.token === undefined ? "" : `, last sign of life ${Math.max(0, Math.round(ageMs / 1000))} s ago`;
  return new LockHeldError(
    `${what}: in use by ${nameOf(holder)}${life}. Wait for it, or delete ${path} if that process is gone`,
  );
}
