/** The pool: jobs in parallel up to its size, a death that costs one job, a stop that reaches the jobs, no process left behind. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { UserError } from "../../src/errors.js";
import { createProcessPool } from "../../src/launch/process-pool.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

type Job = { kind: "echo" | "die" | "throw" | "wait" | "read"; value?: number };
type Result = { value: number | undefined; pid: number; stopped?: boolean };
let module: string;
beforeAll(async () => {
  module = join(await temporaryFolder(), "server.mjs");
  await writeFile(
    module,
    `import { serveJobs } from ${JSON.stringify(join(ROOT, "dist", "launch", "process-pool.js"))};
     serveJobs(process, async ({ kind, value }, signal) => {
       if (kind === "die") process.kill(process.pid, "SIGKILL");
       if (kind === "read") (await import("node:fs")).readFileSync("/nothing.here");
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
  expect(died).toMatchObject({ status: "rejected", reason: new UserError("its process ended with SIGKILL") });
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

it("a process that dies between two jobs is replaced, and closing does not wait for it", async () => {
  const one = pool(1);
  const { pid } = await one.run({ kind: "echo", value: 1 });
  process.kill(pid, "SIGKILL");
  // As long as its end has not been told the next job may still be given to it, and fails.
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await one.run({ kind: "echo", value: 2 })).toMatchObject({ value: 2 });
  const { pid: second } = await one.run({ kind: "echo", value: 3 });
  process.kill(second, "SIGKILL");
  await one.close();
});

it("a system error of a job arrives as an error of the user's kind", async () => {
  const one = pool(1);
  await expect(one.run({ kind: "read" })).rejects.toThrow(UserError);
  await expect(one.run({ kind: "read" })).rejects.toThrow(/nothing\.here: could not be opened \(ENOENT/);
  await one.close();
});

it("a process that cannot be started fails its job", async () => {
  const nowhere = createProcessPool<Job, Result>({
    module: join(ROOT, "nothing.mjs"),
    processes: 1,
    signal: new AbortController().signal,
  });
  await expect(nowhere.run({ kind: "echo" })).rejects.toThrow(/its process ended with exit code 1/);
  await nowhere.close();
});
