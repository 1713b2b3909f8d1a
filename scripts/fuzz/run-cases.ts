/**
 * The process that the fuzzer watches: runs cases one after another until its time is over, checks each one's time and memory, keeps
 * a sample of the cases for the reference library, and prints its counts as lines of JSON. Arguments: folder, seconds, seed.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { appendFile, cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as library from "../../dist/internal.js";
import { countAllocations } from "./allocations.js";
import { type Case, layOutCase, makeCase, makeSeeds, type Outcome, readCase } from "./cases.js";

/** The cases have at most some 100 KB; typical ones take a millisecond. */
const SLOW_CPU_MS = 1000;
/** What one case may add to the process's peak of resident memory. */
const MOST_GROWTH_BYTES = 64e6;
/** What is live after a collection may not grow by more during the whole run. */
const MOST_LEAK_BYTES = 32e6;
/** Arrays that reading asks for: at most a few times the file (F16 widens twofold), whatever its header says. */
const ARRAY_FACTOR = 4;
const ARRAY_SLACK_BYTES = 4096;
const REPORT_CPU_MS = 1000;
const LEAK_EVERY = 50_000;
/** One fault shows in thousands of cases. */
const LISTED_FAILURES = 50;
/** Cases of each kind of outcome that are kept for the reference library, drawn evenly from all. */
const SAMPLE = 3000;

export interface Counts {
  seconds?: number;
  cases?: number;
  kinds?: Record<string, { accepted: number; refused: number }>;
  slowest?: { case: number; cpuMs: number };
  peakRssBytes?: number;
  largestArray?: { case: number; bytes: number; caseBytes: number };
  /** Live bytes after a collection, at the beginning and the end. */
  liveBytes?: [number, number];
  /** Refusals by what was expected. */
  rules?: Record<string, number>;
  readonly failures: string[];
  failureCount?: number;
}

const [folder = "", seconds = "60", seed = "1"] = process.argv.slice(2);
const counts = {
  seconds: 0,
  cases: 0,
  kinds: {} as Record<string, { accepted: number; refused: number }>,
  slowest: { case: 0, cpuMs: 0 },
  peakRssBytes: 0,
  largestArray: { case: 0, bytes: 0, caseBytes: 0 },
  liveBytes: [0, 0] as [number, number],
  rules: {} as Record<string, number>,
  failures: [] as string[],
  failureCount: 0,
} satisfies Counts;

const seeds = await makeSeeds(join(folder, "seeds"), join(import.meta.dirname, "..", "..", "test", "golden"), library);
const sample = join(folder, "sample");
await mkdir(sample, { recursive: true });
const current = openSync(join(folder, "current"), "w");
// The table that decodes float16 is made once, and is no case's.
library.decodeFloat16(new Uint16Array(1));
const largestArray = countAllocations();
const sampler = library.createRng("fuzz sample", Number(seed));
const kept = { accepted: [] as string[], refused: [] as string[] };
const seen = { accepted: 0, refused: 0 };

const began = performance.now();
let reportedCpu = 0;
while (performance.now() - began < Number(seconds) * 1000) {
  if (counts.cases % LEAK_EVERY === 1000) checkLeak();
  writeSync(current, String(counts.cases).padEnd(12), 0);
  await runCase(makeCase(seeds, library.createRng("fuzz", Number(seed), counts.cases)));
  counts.cases += 1;
  if (cpuMs() - reportedCpu > REPORT_CPU_MS) report();
}
checkLeak();
for (const kind of ["accepted", "refused"] as const)
  await appendFile(join(sample, `${kind}.jsonl`), kept[kind].map((line) => `${line}\n`).join(""));
closeSync(current);
report();

function report(): void {
  counts.seconds = Math.round((performance.now() - began) / 1000);
  reportedCpu = cpuMs();
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

async function runCase(made: Case): Promise<void> {
  const path = join(folder, made.kind === "folder" ? "folder" : "case.safetensors");
  await layOutCase(made, path);
  const [cpuBefore, peakBefore] = [cpuMs(), peakBytes()];
  largestArray.bytes = 0;
  const outcome = await readCase(path, library);
  check(made, outcome, cpuMs() - cpuBefore, peakBytes() - peakBefore);
  const result = outcome.tensors === undefined ? "refused" : "accepted";
  const kind = counts.kinds[made.kind] ?? { accepted: 0, refused: 0 };
  counts.kinds[made.kind] = kind;
  kind[result] += 1;
  if (outcome.rule !== undefined) counts.rules[outcome.rule] = (counts.rules[outcome.rule] ?? 0) + 1;
  if (result === "accepted" || made.kind !== "folder") await keep(result, outcome, path);
}

function fail(what: string): void {
  counts.failureCount += 1;
  if (counts.failures.length < LISTED_FAILURES) counts.failures.push(`case ${counts.cases}: ${what}`);
}

function check(made: Case, { problem }: Outcome, caseCpuMs: number, grownBytes: number): void {
  if (problem !== undefined) fail(problem);
  if (caseCpuMs > SLOW_CPU_MS) fail(`took ${Math.round(caseCpuMs)} ms of processor time`);
  if (grownBytes > MOST_GROWTH_BYTES) fail(`raised the peak of resident memory by ${grownBytes} bytes`);
  const caseBytes = bytesOf(made);
  if (largestArray.bytes > ARRAY_FACTOR * caseBytes + ARRAY_SLACK_BYTES)
    fail(`asked for an array of ${largestArray.bytes} bytes, reading ${caseBytes}`);
  if (caseCpuMs > counts.slowest.cpuMs) counts.slowest = { case: counts.cases, cpuMs: Math.round(caseCpuMs) };
  if (largestArray.bytes > counts.largestArray.bytes)
    counts.largestArray = { case: counts.cases, bytes: largestArray.bytes, caseBytes };
  counts.peakRssBytes = peakBytes();
}

function bytesOf({ kind, content }: Case): number {
  if (kind !== "folder") return content.length;
  return [...content.values()].reduce((sum, item) => sum + (item instanceof Uint8Array ? item.length : 0), 0);
}

/** Reservoir sampling: each case of a kind of outcome has the same chance to be among those kept. */
async function keep(result: "accepted" | "refused", outcome: Outcome, path: string): Promise<void> {
  seen[result] += 1;
  const place = seen[result] <= SAMPLE ? seen[result] - 1 : sampler.nextInt(seen[result]);
  if (place >= SAMPLE) return;
  const name = `${result}-${place}`;
  await rm(join(sample, name), { recursive: true, force: true });
  await cp(path, join(sample, name), { recursive: true, verbatimSymlinks: true });
  kept[result][place] = JSON.stringify({ path: name, tensors: outcome.tensors, rule: outcome.rule });
}

function checkLeak(): void {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const live = heapUsed + external;
  if (counts.liveBytes[0] === 0) counts.liveBytes[0] = live;
  counts.liveBytes[1] = live;
  const grown = live - counts.liveBytes[0];
  if (grown > MOST_LEAK_BYTES) fail(`${grown} more live bytes than at the beginning`);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
