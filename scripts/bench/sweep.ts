/**
 * `bench sweep`: what many trials cost. One sweep with two jobs, the same sweep with one job that has all cores, and the trials as separate
 * starts of `adamerge fit`, all with a warm cache; and how often the bundle is in memory while two jobs run.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { median, round } from "./statistics.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");
const SAMPLE_MS = 2000;

interface SweepArguments {
  readonly trials: number;
  readonly steps: number;
  readonly rounds: number;
  readonly json: string | undefined;
}

export const sweepCommand: CommandModule<object, SweepArguments> = {
  command: "sweep",
  describe: "Many trials: two jobs against one and against separate starts; the bundle's share of memory",
  builder: (yargs) =>
    yargs
      .option("trials", { type: "number", default: 24, describe: "Trials of the sweep" })
      .option("steps", { type: "number", default: 20, describe: "Steps of a trial" })
      .option("rounds", { type: "number", default: 3, describe: "Turns of each way" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure({ trials, steps, rounds }: SweepArguments): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(tmpdir(), "adamerge-bench-sweep-"));
  try {
    const rates = Array.from({ length: trials }, (_, index) => 1e-4 * (index + 1));
    const common = [
      `steps=${steps}`,
      "data.eval_every=0",
      "data.eval_split=val",
      "data.eval_limit=100",
      "save_model=false",
      "save_report=false",
    ];
    const config = join(ROOT, "configs", "mini8.yaml");
    const sweepFile = join(folder, "bench.yaml");
    await writeFile(
      sweepFile,
      JSON.stringify({ config, settings: common, parameters: { "optimizer.learning_rate": rates } }),
    );
    const start = starter(folder);
    await start(["fit", config, ...common, "experiment=warm"]);
    const seconds = { two_jobs: [] as number[], one_job: [] as number[], separate_starts: [] as number[] };
    let bundle: BundleMemory = { processes: 0, proportionalBytes: 0, residentBytes: 0 };
    for (let turn = 0; turn < rounds; turn++) {
      const watch = watchBundle(folder);
      seconds.two_jobs.push(await start(["sweep", sweepFile, "--jobs", "2", "--output", `two-${turn}`]));
      bundle = larger(bundle, await watch.stop());
      seconds.one_job.push(await start(["sweep", sweepFile, "--jobs", "1", "--output", `one-${turn}`]));
      const begin = performance.now();
      for (const rate of rates)
        await start([
          "fit",
          config,
          ...common,
          `experiment=separate-${turn}`,
          `name=lr${rate}`,
          `optimizer.learning_rate=${rate}`,
        ]);
      seconds.separate_starts.push((performance.now() - begin) / 1000);
    }
    const ratio = (other: readonly number[]) =>
      round(median(seconds.two_jobs.map((own, turn) => own / (other[turn] ?? Number.NaN))), 3);
    return {
      what: `${trials} trials of ${steps} steps on mini8`,
      machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
      seconds: Object.fromEntries(Object.entries(seconds).map(([name, all]) => [name, round(median(all), 1)])),
      two_jobs_over_one_job: ratio(seconds.one_job),
      two_jobs_over_separate_starts: ratio(seconds.separate_starts),
      bundle: {
        file_mib: round((await bundleBytes(folder)) / 2 ** 20, 1),
        mapped_by_processes: bundle.processes,
        sum_of_proportional_mib: round(bundle.proportionalBytes / 2 ** 20, 1),
        sum_of_resident_mib: round(bundle.residentBytes / 2 ** 20, 1),
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the built command line in `folder` with a cache of its own; resolves with its seconds. */
function starter(folder: string): (args: readonly string[]) => Promise<number> {
  return (args) =>
    new Promise((resolve, reject) => {
      const begin = performance.now();
      let stderr = "";
      const env = { ...process.env, ADAMERGE_CACHE: join(folder, "cache") };
      const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      child.once("close", (code) => {
        if (code === 0) resolve((performance.now() - begin) / 1000);
        else reject(new Error(`adamerge ${args.join(" ")} ended with ${code}:\n${stderr}`));
      });
    });
}

interface BundleMemory {
  readonly processes: number;
  /** Pss: each page's share of the processes that have it; summed over them it counts shared memory once. */
  readonly proportionalBytes: number;
  /** Rss: the same pages counted by every process. */
  readonly residentBytes: number;
}

/** Looks at the mappings of bundles below `folder` of all processes until `stop`, which gives the moment of most processes. */
function watchBundle(folder: string): { stop(): Promise<BundleMemory> } {
  let most: BundleMemory = { processes: 0, proportionalBytes: 0, residentBytes: 0 };
  let running = true;
  const watching = (async () => {
    while (running) {
      most = larger(most, await bundleMemory(folder));
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  return {
    stop: async () => {
      running = false;
      await watching;
      return most;
    },
  };
}

function larger(a: BundleMemory, b: BundleMemory): BundleMemory {
  if (a.processes !== b.processes) return a.processes > b.processes ? a : b;
  return a.proportionalBytes > b.proportionalBytes ? a : b;
}

async function bundleMemory(folder: string): Promise<BundleMemory> {
  const bundles = join(folder, "cache", "bundles");
  const found = { processes: 0, proportionalBytes: 0, residentBytes: 0 };
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    // Processes end while one looks.
    const smaps = await readFile(`/proc/${pid}/smaps`, "utf8").catch(() => "");
    if (!smaps.includes(bundles)) continue;
    found.processes += 1;
    for (const mapping of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
      if (!mapping.includes(bundles)) continue;
      found.proportionalBytes += 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(mapping)?.[1] ?? 0);
      found.residentBytes += 1024 * Number(/^Rss:\s+(\d+) kB$/m.exec(mapping)?.[1] ?? 0);
    }
  }
  return found;
}

async function bundleBytes(folder: string): Promise<number> {
  const directory = join(folder, "cache", "bundles");
  const sizes = await Promise.all(
    (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
