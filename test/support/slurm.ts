/** A real Slurm of one machine (munge, slurmctld, slurmd) under a folder of its own; needs root and Debian's packages. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { cpus, hostname, tmpdir } from "node:os";
import { join } from "node:path";

const START_LIMIT_MS = 30_000;

export interface Slurm {
  /** For every command of Slurm. */
  readonly env: Readonly<Record<string, string>>;
  /** What a command of Slurm prints. */
  run(command: string, ...args: string[]): string;
  stop(): Promise<void>;
}

/** Why there can be none here; undefined when there can. */
export function slurmMissing(): string | undefined {
  const absent = ["munged", "slurmctld", "slurmd", "sbatch"].filter((name) => spawnSync("which", [name]).status !== 0);
  if (absent.length > 0) return `no ${absent.join(", ")} (Debian: slurmctld slurmd slurm-client munge)`;
  return process.getuid?.() === 0 ? undefined : "slurmd runs as root only";
}

/** Starts the three daemons and waits until the node is idle. */
export async function startSlurm(): Promise<Slurm> {
  // munged refuses paths with blanks and folders that others may write to.
  const folder = await mkdtemp(join(tmpdir(), "adamerge-slurm-"));
  await chmod(folder, 0o755);
  for (const name of ["state", "spool", "munge"]) await mkdir(join(folder, name), { mode: 0o755 });
  const key = join(folder, "munge", "key");
  const socket = join(folder, "munge", "socket");
  await writeFile(key, Buffer.from(Array.from({ length: 128 }, (_, index) => (index * 37 + 11) % 256)), {
    mode: 0o400,
  });
  const port = 20_000 + (process.pid % 20_000);
  const conf = join(folder, "slurm.conf");
  const host = hostname();
  await writeFile(
    conf,
    [
      "ClusterName=test",
      `SlurmctldHost=${host}(127.0.0.1)`,
      `SlurmctldPort=${port}`,
      `SlurmdPort=${port + 1}`,
      "AuthType=auth/munge",
      `AuthInfo=socket=${socket}`,
      "SlurmUser=root",
      "ProctrackType=proctrack/linuxproc",
      "TaskPlugin=task/none",
      "SelectType=select/cons_tres",
      "SelectTypeParameters=CR_CPU",
      "JobAcctGatherType=jobacct_gather/none",
      "MpiDefault=none",
      "ReturnToService=2",
      "JobRequeue=1",
      "MinJobAge=300",
      "KillWait=20",
      `StateSaveLocation=${join(folder, "state")}`,
      `SlurmdSpoolDir=${join(folder, "spool")}`,
      `SlurmctldPidFile=${join(folder, "slurmctld.pid")}`,
      `SlurmdPidFile=${join(folder, "slurmd.pid")}`,
      `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus().length} State=UNKNOWN`,
      "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
      "",
    ].join("\n"),
  );
  const env = { SLURM_CONF: conf };
  const daemons: ChildProcess[] = [];
  let output = "";
  const start = (command: string, ...args: string[]): void => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (text: Buffer) => {
        output += text.toString();
      });
    daemons.push(child);
  };
  const run = (command: string, ...args: string[]): string =>
    spawnSync(command, args, { env: { ...process.env, ...env }, encoding: "utf8", timeout: 60_000 }).stdout ?? "";
  const stop = async (): Promise<void> => {
    run("scancel", "--user=root");
    for (const child of daemons.reverse()) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      await Promise.race([
        new Promise((resolve) => child.once("exit", resolve)),
        new Promise((resolve) => setTimeout(resolve, 5000)),
      ]);
      child.kill("SIGKILL");
    }
  };
  start(
    "munged",
    "--foreground",
    "--force",
    `--key-file=${key}`,
    `--socket=${socket}`,
    `--pid-file=${join(folder, "munge", "pid")}`,
    `--log-file=${join(folder, "munge", "log")}`,
    `--seed-file=${join(folder, "munge", "seed")}`,
  );
  await pause(1000);
  start("slurmctld", "-D", "-f", conf);
  start("slurmd", "-D", "-f", conf);
  const limit = Date.now() + START_LIMIT_MS;
  while (!run("sinfo", "--noheader", "--format=%T").startsWith("idle")) {
    if (Date.now() > limit) {
      await stop();
      throw new Error(`Slurm did not start: ${output.slice(-3000)}`);
    }
    await pause(500);
  }
  return { env, run, stop };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
