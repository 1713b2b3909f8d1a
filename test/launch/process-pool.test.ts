/** The pool: jobs in parallel up to its size, a death that costs one job, a stop that reaches the jobs, no process left behind. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { createProcessPool } from "../../src/launch/process-pool.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

type Job = { kind: "echo" | "die" | "throw" | "wait"; value?: number };
type Result = { value: number | undefined; pid: number; stopped?: boolean };
let module: string;
beforeAll(async () => {
  module = join(await temporaryFolder(), "server.mjs");
  await writeFile(
    module,
    `import { serveJobs } from ${JSON.stringify(join(ROOT, "dist", "launch", "process-pool.js"))};
     serveJobs(process, async ({ kind, value }, signal) => {
       if (kind === "die") process.kill(process.pid, "SIGKILL");
       if (kind === "throw") throw new Error("no " + value);
       if (kind === "wait") await new Promise((resolve) => signal.addEventListener("abort", resolve));
       return { value, pid: process.pid, stopped: signal.aborted };
     });`,
  );
});

const pool = (processes: number, signal = new AbortController().signal) =>
  createProcessPool<Job, Result>({ module, processes, signal });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

it("runs jobs on as many processes as it has, keeps them for the next job, and ends them", async () => {
  const two = pool(2);
  const results = await Promise.all([1, 2, 3, 4, 5].map((value) => two.run({ kind: "echo", value })));
  expect(results.map(({ value }) => value)).toEqual([1, 2, 3, 4, 5]);
  const pids = new Set(results.map(({ pid }) => pid));
  expect(pids.size).toBe(2);
  await two.close();
  for (const pid of pids) expect(isAlive(pid)).toBe(false);
});

it("a job that throws or whose process dies fails alone", async () => {
  const one = pool(1);
  const [died, threw, fine] = await Promise.allSettled([
    one.run({ kind: "die" }),
    one.run({ kind: "throw", value: 7 }),
    one.run({ kind: "echo", value: 8 }),
  ]);
  expect(died).toMatchObject({ status: "rejected", reason: new Error("its process ended with SIGKILL") });
  expect(threw).toMatchObject({ status: "rejected", reason: new Error("no 7") });
  expect(fine).toMatchObject({ status: "fulfilled", value: { value: 8 } });
  await one.close();
});

it("an abort reaches the jobs under way and those that begin after it", async () => {
  const abort = new AbortController();
  const one = pool(1, abort.signal);
  const first = one.run({ kind: "wait" });
  const second = one.run({ kind: "wait" });
  setTimeout(() => abort.abort(), 300);
  expect(await first).toMatchObject({ stopped: true });
  expect(await second).toMatchObject({ stopped: true });
  await one.close();
});
