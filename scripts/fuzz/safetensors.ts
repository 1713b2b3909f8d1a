/**
 * Fuzzes the safetensors reader: `npx tsx scripts/fuzz/safetensors.ts --seconds 3600 --seed 1 --json out.json`. Each case is a mutated
 * file on disk that is opened and read whole. Only CheckpointError may be thrown, no case may take long, memory must not
 * grow; what is accepted is kept and, with --python, must be accepted by the safetensors library too. The cases run in a process of their
 * own that says which one it is at, so that a hang is seen from outside.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import yargs from "yargs";
import {
  CheckpointError,
  createRng,
  readSafetensorsHeader,
  readTensorFloat32,
  writeSafetensors,
} from "../../dist/index.js";
import { mutateBytes, mutateHeader } from "./mutations.js";

const SLOW_MS = 1000;
const HANG_MS = 20_000;
/** The mutated files have at most some 100 KB; anything near this is an allocation by a declared size. */
const MOST_RSS_BYTES = 600e6;
const REPORT_EVERY = 500;
const KEPT_ACCEPTED = 2000;

interface Counts {
  cases: number;
  accepted: number;
  refused: number;
  slowestMs: number;
  peakRssBytes: number;
  /** Refusals by what was expected, without the changing parts. */
  readonly rules: Record<string, number>;
  readonly failures: string[];
}

const options = await yargs(process.argv.slice(2))
  .option("seconds", { type: "number", default: 60, describe: "How long" })
  .option("seed", { type: "number", default: 1, describe: "First part of every case's seed" })
  .option("json", { type: "string", describe: "Write the counts here" })
  .option("python", { type: "string", describe: "A Python with safetensors, to check what was accepted" })
  .option("child", { type: "string", hidden: true })
  .strict()
  .parseAsync();

async function watch(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "adamerge-fuzz-"));
  const args = [
    ...process.execArgv,
    import.meta.filename,
    "--seconds",
    String(options.seconds),
    "--seed",
    String(options.seed),
  ];
  const child = spawn(process.execPath, [...args, "--child", folder], { stdio: ["ignore", "pipe", "inherit"] });
  let last = "";
  let hung = false;
  let timer = setTimeout(() => {}, 0);
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(timer);
    last = line;
    timer = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, HANG_MS);
  }
  clearTimeout(timer);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const counts: Counts = JSON.parse(last);
  if (hung || child.exitCode !== 0)
    counts.failures.push(`ended after case ${counts.cases}: ${hung ? "no sign of life" : `exit ${child.exitCode}`}`);
  const reference = options.python === undefined ? undefined : checkAccepted(options.python, join(folder, "accepted"));
  const report = {
    command: `scripts/fuzz/safetensors.ts --seconds ${options.seconds} --seed ${options.seed}`,
    ...counts,
    reference,
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  await rm(folder, { recursive: true });
  process.exitCode = counts.failures.length > 0 || (reference?.refused.length ?? 0) > 0 ? 1 : 0;
}

async function fuzz(folder: string): Promise<void> {
  const files = await seedFiles(folder);
  const accepted = join(folder, "accepted");
  await mkdir(accepted);
  const path = join(folder, "case.safetensors");
  const counts: Counts = { cases: 0, accepted: 0, refused: 0, slowestMs: 0, peakRssBytes: 0, rules: {}, failures: [] };
  const end = performance.now() + options.seconds * 1000;
  while (performance.now() < end) {
    const rng = createRng("fuzz", options.seed, counts.cases);
    const file = files[rng.nextInt(files.length)] ?? new Uint8Array();
    const other = files[rng.nextInt(files.length)] ?? new Uint8Array();
    const bytes = rng.nextInt(4) === 0 ? mutateBytes(file, other, rng) : mutateHeader(file, rng);
    await writeFile(path, bytes);
    const isAccepted = await oneCase(path, counts);
    if (isAccepted && counts.accepted <= KEPT_ACCEPTED)
      await writeFile(join(accepted, `${counts.cases}.safetensors`), bytes);
    counts.cases += 1;
    if (counts.cases % REPORT_EVERY === 0) process.stdout.write(`${JSON.stringify(counts)}\n`);
  }
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

/** Opens and reads the file, and says whether it was accepted; what is not a CheckpointError, slow or large is a failure with the case's number. */
async function oneCase(path: string, counts: Counts): Promise<boolean> {
  const begin = performance.now();
  let isAccepted = false;
  try {
    const file = await readSafetensorsHeader(path);
    for (const { name, dtype } of file.tensors.values())
      if (dtype === "F32" || dtype === "F16" || dtype === "BF16") await readTensorFloat32(file, name);
    counts.accepted += 1;
    isAccepted = true;
  } catch (error) {
    counts.refused += 1;
    if (error instanceof CheckpointError) {
      const rule = ruleOf(error.message, path);
      counts.rules[rule] = (counts.rules[rule] ?? 0) + 1;
    } else counts.failures.push(`case ${counts.cases}: ${String(error).slice(0, 300)}`);
  }
  const ms = performance.now() - begin;
  counts.slowestMs = Math.max(counts.slowestMs, Math.round(ms));
  if (ms > SLOW_MS) counts.failures.push(`case ${counts.cases}: took ${Math.round(ms)} ms`);
  const { rss } = process.memoryUsage();
  counts.peakRssBytes = Math.max(counts.peakRssBytes, rss);
  if (rss > MOST_RSS_BYTES) counts.failures.push(`case ${counts.cases}: ${rss} bytes resident`);
  return isAccepted;
}

/** The message's sentence without names and numbers: one line per rule of the reader. */
function ruleOf(message: string, path: string): string {
  return message
    .replaceAll(path, "FILE")
    .replace(/"(?:[^"\\]|\\.)*"/gs, "NAME")
    .replace(/\d+/g, "N")
    .slice(0, 70);
}

/** Small valid files: dtypes, ranks, empty tensors, metadata, odd names. */
async function seedFiles(folder: string): Promise<Uint8Array[]> {
  const golden = join(import.meta.dirname, "..", "..", "test", "golden");
  const names = (await readdir(golden)).filter((name) => name.endsWith(".safetensors"));
  const files: Uint8Array[] = await Promise.all(names.map((name) => readFile(join(golden, name))));
  const made = join(folder, "seed.safetensors");
  const tensor = (name: string, dtype: string, shape: number[]) => ({
    name,
    dtype,
    shape,
    data: new Float32Array(shape.reduce((product, dim) => product * dim, 1)).fill(1),
  });
  await writeSafetensors(made, [tensor("a", "F32", [2, 3]), tensor("b.weight", "F16", [5]), tensor("c", "BF16", [])]);
  files.push(await readFile(made));
  await writeSafetensors(made, [tensor("empty", "F32", [0, 4]), tensor("\u00e9\n", "F32", [1])], {
    metadata: { format: "pt" },
  });
  files.push(await readFile(made));
  await writeSafetensors(made, []);
  files.push(await readFile(made));
  return files;
}

const REFERENCE = `
import json, pathlib, sys
from safetensors import safe_open
refused, files = [], sorted(pathlib.Path(sys.argv[1]).iterdir())
for path in files:
    try:
        with safe_open(path, "np") as file:
            list(file.keys())
    except Exception as error:
        refused.append(f"{path.name}: {error}")
print(json.dumps({"checked": len(files), "refused": refused}))
`;

function checkAccepted(python: string, folder: string): { checked: number; refused: string[] } {
  const { stdout, stderr, status } = spawnSync(python, ["-c", REFERENCE, folder], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${python}: ${stderr}`);
  return JSON.parse(stdout);
}

if (options.child === undefined) await watch();
else await fuzz(options.child);
