/** One holder, always: of processes that take over a dead one's lock, of numbers used again, and of machines that went away. */
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { acquireLock, LockHeldError, LockLostError, waitForLock } from "../../src/runtime/lock.js";
import { ownIdentity, startOf } from "../../src/runtime/process-identity.js";

const MODULE = new URL("../../dist/runtime/lock.js", import.meta.url).href;
const PROCESSES = 4;
const ROUNDS = 40;
const isLinux = process.platform === "linux";
/** In the place of 10 s and 120 s. */
const TIMING = { beatMs: 40, staleMs: 400 };
const since = "2024-01-02T03:04:05.000Z";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-lock-"));
  path = join(folder, "x.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The number of a process that is no more. */
const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;
const leave = (holder: object, at = path) =>
  writeFile(at, `${JSON.stringify({ host: hostname(), since, ...holder })}\n`);
const take = (timing = TIMING) => acquireLock(path, "the thing", { timing });
const holderNow = async (): Promise<{ pid: number; token: string }> => JSON.parse(await readFile(path, "utf8"));

describe("several processes", () => {
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    for (let i = 0; i < PROCESSES; i++)
      children.push(
        fork(join(import.meta.dirname, "lock-contender.mjs"), { env: { ...process.env, MODULE }, execArgv: [] }),
      );
    await Promise.all(children.map((child) => once(child, "message")));
  });
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL");
  });
  const race = (at: string): Promise<unknown[]> =>
    Promise.all(
      children.map(async (child) => {
        const answer = once(child, "message");
        child.send({ path: at });
        return (await answer)[0];
      }),
    );

  it(`of ${PROCESSES} that take over a dead process's lock one gets it, ${ROUNDS} times; also when the taker died`, async () => {
    const pid = deadPid();
    for (let round = 0; round < ROUNDS; round++) {
      const at = join(folder, `${round}.lock`);
      await leave({ pid }, at);
      // Every fourth time somebody died while taking over.
      if (round % 4 === 0) await leave({ pid }, `${at}.takeover`);
      const answers = await race(at);
      expect(
        answers.filter((answer) => answer === "got it"),
        `round ${round}: ${answers.join("\n")}`,
      ).toHaveLength(1);
      const winner: unknown = JSON.parse(await readFile(at, "utf8"));
      expect(children.map((child) => child.pid)).toContain(Reflect.get(Object(winner), "pid"));
      for (const answer of answers)
        if (answer !== "got it")
          expect(answer).toMatch(
            /^the thing: in use by process \d+ on .* since .*Wait for it, or delete .* if that process is gone$/,
          );
    }
    expect((await readdir(folder)).filter((name) => !/^\d+\.lock$/.test(name))).toEqual([]);
  });
});

describe("a lock of this machine", () => {
  it("is held by one until it is released; its file says by whom", async () => {
    const lock = await take();
    expect(await holderNow()).toMatchObject({ pid: process.pid, host: hostname() });
    await expect(take()).rejects.toThrow(LockHeldError);
    await lock.check();
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    await (await take()).release();
  });

  it.each<[string, () => object]>([
    ["of a process that is gone", () => ({ pid: deadPid() })],
    ["of this very number, as after the restart of a container (process 1)", () => ({ pid: process.pid })],
    ["whose number another process has by now", () => ({ pid: process.ppid, since: "2000-01-01T00:00:00.000Z" })],
  ])("of a version without tokens is taken over: %s", async (what, holder) => {
    // Where no process says when it began, a number that is in use again cannot be told.
    if (!isLinux && what.startsWith("whose number")) return;
    await leave(holder());
    const lock = await take();
    expect(await holderNow()).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  it.runIf(isLinux)("of a version without tokens is left to its process while that lives", async () => {
    await leave({ pid: process.ppid, since: new Date().toISOString() });
    await expect(take()).rejects.toThrow(`in use by process ${process.ppid} on ${hostname()}`);
  });

  it.runIf(isLinux)("goes by the start of a process, not by its number", async () => {
    const own = await ownIdentity();
    await leave({ ...own, token: "t", pid: process.ppid, start: await startOf(process.ppid) });
    await expect(take()).rejects.toThrow(LockHeldError);
    for (const pid of [process.pid, process.ppid, 1]) {
      await leave({ ...own, token: "t", pid, start: "12345" });
      await (await take()).release();
    }
  });

  it("that was cut off by a crash is taken over when its time to be written is over", async () => {
    await writeFile(path, '{"pid":');
    await utimes(path, new Date(), new Date(Date.now() - 5000));
    await (await take()).release();
    await writeFile(path, "");
    await utimes(path, new Date(), new Date(Date.now() + 86_400_000));
    await (await take()).release();
  });
});

describe("a lock of another machine", () => {
  const elsewhere = { pid: 1, host: "node17", boot: "another", namespace: "pid:[1]", start: "5", token: "t" };

  it("is held while it shows signs of life", async () => {
    await leave(elsewhere);
    const content = await readFile(path);
    const beats = setInterval(() => void writeFile(path, content, { flag: "r+" }), TIMING.beatMs);
    const heard: string[] = [];
    const held = acquireLock(path, "the thing", { timing: TIMING, onWait: (line) => heard.push(line) });
    await expect(held).rejects.toThrow(
      /in use by process 1 on node17 since .*, last sign of life \d+ s ago\. Wait for it/,
    );
    clearInterval(beats);
    expect(heard.join()).toBe(
      `the thing: waits for a sign of life of process 1 on node17 since ${since}; without one its lock counts as left behind 0.4 s after the last`,
    );
  });

  it.each([0, -60_000, 60_000])(
    "is taken over after the stated time without one (its clock %i ms off)",
    async (off) => {
      await leave(elsewhere);
      await utimes(path, new Date(), new Date(Date.now() + off));
      const started = performance.now();
      const lock = await take();
      expect(performance.now() - started).toBeGreaterThan(off < 0 ? TIMING.beatMs : TIMING.staleMs - 50);
      expect(await holderNow()).toMatchObject({ pid: process.pid });
      await lock.release();
    },
  );

  it("of a version without signs of life is never taken within a day, and then is", async () => {
    await leave({ pid: 1, host: "node17" });
    await expect(take()).rejects.toThrow("in use by process 1 on node17");
    await utimes(path, new Date(), new Date(Date.now() - 25 * 3600 * 1000));
    await (await take()).release();
  });

  it("is waited for until it is given free, and Ctrl-C ends the waiting", async () => {
    const held = await take();
    const free = waitForLock(path, "the thing", {
      signal: new AbortController().signal,
      onWait: () => void held.release(),
    });
    await (await free).release();
    await leave(elsewhere);
    const controller = new AbortController();
    const stopped = acquireLock(path, "the thing", { signal: controller.signal });
    await setTimeout(20);
    controller.abort(new Error("stopped"));
    await expect(stopped).rejects.toThrow("stopped");
    expect(await readdir(folder)).toEqual(["x.lock"]);
  });
});

describe("the holder", () => {
  it("gives signs of life while its own thread is busy", async () => {
    const lock = await take();
    await setTimeout(10 * TIMING.beatMs);
    const before = (await stat(path)).mtimeMs;
    const end = performance.now() + 10 * TIMING.beatMs;
    while (performance.now() < end);
    expect((await stat(path)).mtimeMs).toBeGreaterThan(before);
    await lock.release();
  });

  it("notices that its lock was taken, and does not remove the other's", async () => {
    const lock = await take();
    await rm(path);
    await leave({ pid: 7, host: "node17", token: "theirs" });
    await expect(lock.check()).rejects.toThrow(LockLostError);
    await expect(lock.check()).rejects.toThrow(
      `the thing: the lock ${path} was taken over by process 7 on node17 since ${since} while this process held it; it stops here`,
    );
    await lock.release();
    expect(await holderNow()).toMatchObject({ token: "theirs" });
  });
});
