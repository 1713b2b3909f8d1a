/** The NVIDIA card of this machine, and what its processes take of it, as nvidia-smi tells. */
import { spawnSync } from "node:child_process";

export interface Card {
  readonly name: string;
  readonly driver: string;
  readonly memoryMib: number;
}

/** The first card; undefined where there is none, or no nvidia-smi. */
export function cardOf(): Card | undefined {
  const [row] = query(["--query-gpu=name,driver_version,memory.total"]);
  const [name, driver, memory] = row ?? [];
  return name === undefined || driver === undefined ? undefined : { name, driver, memoryMib: Number(memory) };
}

/** Of one process; undefined where nvidia-smi does not list it. Of WebGPU it lists what the driver counts as computing. */
export function deviceMibOf(pid: number): number | undefined {
  const row = query(["--query-compute-apps=pid,used_memory"]).find(([of]) => Number(of) === pid);
  return row === undefined ? undefined : Number(row[1]);
}

function query(what: readonly string[]): string[][] {
  const { status, stdout } = spawnSync("nvidia-smi", [...what, "--format=csv,noheader,nounits"], { encoding: "utf8" });
  if (status !== 0) return [];
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(",").map((cell) => cell.trim()));
}
