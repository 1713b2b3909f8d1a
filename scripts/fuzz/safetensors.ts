/**
 * Fuzzes the safetensors reader: `npx tsx scripts/fuzz/safetensors.ts --seconds 3600 --seed 1 --json out.json`. The cases run in a
 * process of their own (run-cases.ts); this one watches it and says where it hung or died, then has a sample of the cases judged by the
 * safetensors library (--python) and prints the counts. Fails on anything but a clear error in bounded time and memory.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import yargs from "yargs";
import type { Counts } from "./run-cases.js";

/** Without news after this much processor time the child hangs in a case. On a busy machine wall time says nothing. */
const HANG_CPU_SECONDS = 20;
/** Something waits that takes no processor time, such as a pipe that was opened. */
const HANG_WALL_SECONDS = 600;
const CHECK_MS = 2000;
/** Linux counts a process's time in these per second, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;

const options = await yargs(process.argv.slice(2))
  .option("seconds", { type: "number", default: 60, describe: "How long" })
  .option("seed", { type: "number", default: 1, describe: "First part of every case's seed" })
  .option("json", { type: "string", describe: "Write the counts here" })
  .option("python", { type: "string", describe: "A Python with torch and safetensors, to judge a sample of the cases" })
  .strict()
  .parseAsync();

const folder = await mkdtemp(join(tmpdir(), "adamerge-fuzz-"));
const runner = join(import.meta.dirname, "run-cases.ts");
const args = ["--expose-gc", ...process.execArgv, runner, folder, String(options.seconds), String(options.seed)];
const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
const { last, hang } = await watch(child);
const counts: Counts = last === "" ? { failures: [] } : JSON.parse(last);
if (hang !== undefined || child.exitCode !== 0) {
  const at = readFileSync(join(folder, "current"), "utf8");
  counts.failures.push(`case ${at}: ${hang ?? `the process ended with ${child.exitCode ?? child.signalCode}`}`);
}
const reference = options.python === undefined ? undefined : judge(options.python);
const report = {
  command: `scripts/fuzz/safetensors.ts --seconds ${options.seconds} --seed ${options.seed}`,
  node: process.version,
  ...counts,
  reference,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (options.json !== undefined) {
  await mkdir(dirname(options.json), { recursive: true });
  await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
}
await rm(folder, { recursive: true });
process.exitCode = counts.failures.length + (reference?.disagreements.length ?? 0) > 0 ? 1 : 0;

/** Reads the child's counts until it ends; kills it when it hangs. */
async function watch(started: ChildProcess): Promise<{ last: string; hang?: string }> {
  let last = "";
  let hang: string | undefined;
  let [newsAt, newsCpu] = [performance.now(), 0];
  const timer = setInterval(() => {
    const cpu = cpuSeconds(started.pid ?? 0);
    const wall = (performance.now() - newsAt) / 1000;
    if (cpu - newsCpu < HANG_CPU_SECONDS && wall < HANG_WALL_SECONDS) return;
    hang = `no news after ${Math.round(cpu - newsCpu)} s of processor time, ${Math.round(wall)} s`;
    started.kill("SIGKILL");
  }, CHECK_MS);
  if (started.stdout !== null)
    for await (const line of createInterface({ input: started.stdout })) {
      last = line;
      [newsAt, newsCpu] = [performance.now(), cpuSeconds(started.pid ?? 0)];
    }
  clearInterval(timer);
  if (started.exitCode === null && started.signalCode === null) await once(started, "exit");
  return { last, ...(hang === undefined ? {} : { hang }) };
}

/** Processor seconds of all threads of a process so far; 0 where /proc does not tell. */
function cpuSeconds(pid: number): number {
  try {
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th fields after it.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

interface Judgement {
  readonly disagreements: readonly string[];
}

function judge(python: string): Judgement {
  const script = join(import.meta.dirname, "reference.py");
  const { stdout, stderr, status } = spawnSync(python, [script, join(folder, "sample")], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${python}: ${stderr}`);
  return JSON.parse(stdout);
}
