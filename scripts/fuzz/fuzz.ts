/**
 * Fuzzes the readers of strangers' files: `npm run fuzz -- parquet --minutes 20 --seed 1`. Small valid files are mutated and read whole by the built
 * library, in a process of its own (`read-cases.ts`) that is watched: what does not end is a hang, what dies a crash, and any error but the user's kind, or
 * memory beyond the stated bound, a failure. Prints the counts and writes them with --json; fails unless all are as they must be.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import yargs from "yargs";
import type { CaseReport } from "./read-cases.js";
import { TARGETS } from "./targets.js";

/** Far over what any case may take by the library's own deadlines, also on a machine that does other work. */
const HANG_MS = 120_000;
const LISTED_FAILURES = 50;
/** Most frequent refusals that are listed: libraries have very many words. */
const LISTED_RULES = 30;

const { target, minutes, seed, json } = await yargs(process.argv.slice(2))
  .usage("npm run fuzz -- <target> [options]")
  .command("$0 <target>", "Fuzz a reader", (command) =>
    command.positional("target", { choices: [...TARGETS.keys()], demandOption: true, type: "string" }),
  )
  .option("minutes", { type: "number", default: 1, describe: "How long" })
  .option("seed", { type: "number", default: 1, describe: "First part of every case's seed" })
  .option("json", { type: "string", describe: "Write the counts here" })
  .strict()
  .parseAsync()
  .then((parsed) => ({ ...parsed, target: String(parsed.target) }));

const chosen = TARGETS.get(target);
if (chosen === undefined) throw new Error(`no target ${target}`);
const folder = await mkdtemp(join(tmpdir(), "adamerge-fuzz-"));
const counts = { cases: 0, accepted: 0, refused: 0 };
const slowest = { case: 0, ms: 0 };
const largest = { case: 0, grownBytes: 0 };
const failures: string[] = [];
let failureCount = 0;
const rules = new Map<string, number>();
const began = Date.now();
const end = began + minutes * 60_000;

while (Date.now() < end) {
  const child = spawn(
    process.execPath,
    ["--expose-gc", ...process.execArgv, join(import.meta.dirname, "read-cases.ts"), target, String(seed)].concat(
      String(counts.cases),
      String(end),
      folder,
    ),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  await watch(child);
}

const report = {
  command: `npm run fuzz -- ${target} --minutes ${minutes} --seed ${seed}`,
  date: new Date(began).toISOString().slice(0, 10),
  node: process.version,
  processor: `${cpus()[0]?.model ?? "unknown"} (${cpus().length} cores, shared with other work)`,
  minutes: Math.round((Date.now() - began) / 6000) / 10,
  ...counts,
  hangs: failures.filter((failure) => failure.includes("hang:")).length,
  bounds: { caseMs: HANG_MS, grownBytes: chosen.mostGrownBytes },
  slowest,
  largest,
  rules: Object.fromEntries([...rules].toSorted(([, a], [, b]) => b - a).slice(0, LISTED_RULES)),
  failureCount,
  failures,
};
const text = `${JSON.stringify(report, undefined, 2)}\n`;
process.stdout.write(text);
if (json !== undefined) {
  await mkdir(dirname(json), { recursive: true });
  await writeFile(json, text);
}
await rm(folder, { recursive: true, force: true });
process.exitCode = failureCount > 0 ? 1 : 0;

function fail(what: string): void {
  failureCount += 1;
  if (failures.length < LISTED_FAILURES) failures.push(what);
}

/** Takes the reports of a process until it ends. One that is silent for too long is killed; the next one begins behind the case it hung in. */
async function watch(child: ChildProcess): Promise<void> {
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr = `${stderr}${chunk}`.slice(-2000);
  });
  let isHang = false;
  const kill = () => {
    isHang = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill, HANG_MS);
  const ended = once(child, "close");
  if (child.stdout !== null)
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(timer);
      timer = setTimeout(kill, HANG_MS);
      take(JSON.parse(line));
    }
  clearTimeout(timer);
  await ended;
  if (child.exitCode === 0) return;
  const reason = isHang
    ? `hang: no end after ${HANG_MS} ms`
    : `crash: ended with ${child.exitCode ?? child.signalCode}`;
  fail(`case ${counts.cases}: ${reason}: ${stderr.slice(-300)}`);
  counts.cases += 1;
  await keepCase();
}

/** The case that hung or crashed stays in the results' folder's neighbour of the system, for whoever looks at it. */
async function keepCase(): Promise<void> {
  const kept = join(tmpdir(), `adamerge-fuzz-${target}-${seed}-${counts.cases - 1}`);
  const content = await readFile(join(folder, "case")).catch(() => undefined);
  if (content !== undefined) await writeFile(kept, content);
}

function take({ ms, grownBytes, outcome, rule, problem }: CaseReport): void {
  if (problem !== undefined) fail(`case ${counts.cases}: ${problem}`);
  if (ms > slowest.ms) Object.assign(slowest, { case: counts.cases, ms: Math.round(ms) });
  if (grownBytes > largest.grownBytes) Object.assign(largest, { case: counts.cases, grownBytes });
  counts[outcome] += 1;
  counts.cases += 1;
  if (rule !== undefined) rules.set(rule, (rules.get(rule) ?? 0) + 1);
}
