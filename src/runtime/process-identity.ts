/**
 * Which process a number stands for: numbers are used again, and in every container they begin at 1. On Linux a process is told by the boot, the
 * namespace of its number and its start; other systems have only the number. Source: proc(5), pid_namespaces(7).
 */
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { pid } from "node:process";

export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Of the running kernel; with the namespace it says whether two numbers can be compared. */
  readonly boot?: string | undefined;
  readonly namespace?: string | undefined;
  /** Clock ticks from boot to the start of the process. */
  readonly start?: string | undefined;
}

/** USER_HZ, which is 100 on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** This process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const [boot, namespace, stat] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => undefined),
    readlink("/proc/self/ns/pid").catch(() => undefined),
    readFile("/proc/self/stat", "utf8").catch(() => undefined),
  ]);
  const own = { pid, host: hostname() };
  // In a namespace that has not mounted a /proc of its own, the numbers there are those of another.
  if (boot === undefined || namespace === undefined || stat?.startsWith(`${pid} (`) !== true) return own;
  return { ...own, boot: boot.trim(), namespace, start: fieldsOf(stat)?.start };
}

/** When the process of this number on this machine started, in ticks; undefined when there is none, or it is dead and not yet collected. */
export async function startOf(number: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${number}/stat`, "utf8").catch(() => undefined);
  const fields = stat === undefined ? undefined : fieldsOf(stat);
  return fields === undefined || /^[ZXx]$/.test(fields.state) ? undefined : fields.start;
}

/** Milliseconds since 1970 at which `start` was, by the clock of now; undefined without /proc. */
export async function startTimeMs(start: string): Promise<number | undefined> {
  const uptime = await readFile("/proc/uptime", "utf8").catch(() => undefined);
  if (uptime === undefined) return undefined;
  return Date.now() - 1000 * (Number.parseFloat(uptime) - Number(start) / TICKS_PER_SECOND);
}

/** The name of the program stands in parentheses and may hold anything, parentheses too. */
function fieldsOf(stat: string): { readonly state: string; readonly start: string } | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields[0], fields[19]];
  return state === undefined || start === undefined ? undefined : { state, start };
}

/** Whether this machine has a process of this number; of another user too. */
export function hasProcess(number: number): boolean {
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
