/** What a command takes from its start to its end: seconds, seconds of processors, and anonymous memory. Linux only: from /proc. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const SAMPLE_MS = 100;
/** Of /proc; the same on all Linux machines. */
const TICKS_PER_SECOND = 100;

export interface Timed {
  readonly seconds: number;
  /** User and system, of all threads. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** Runs a command to its end, and nothing else meanwhile; `environment` beside this process's own. */
export function timed(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const cpuBefore = cpuSecondsOfEnded();
    const begin = performance.now();
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...environment },
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-4000);
    });
    let peakBytes = 0;
    const timer = setInterval(() => {
      peakBytes = Math.max(peakBytes, anonymousBytes(child.pid ?? 0));
    }, SAMPLE_MS);
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(timer);
      const seconds = (performance.now() - begin) / 1000;
      if (code === 0) resolve({ seconds, cpuSeconds: cpuSecondsOfEnded() - cpuBefore, peakBytes });
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stderr}`));
    });
  });
}

/** Of all processes that this one started and that have ended: cutime and cstime, the 16th and 17th field of the file. */
function cpuSecondsOfEnded(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  // The second field is a name in parentheses, with blanks perhaps; the rest begins with the third.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function anonymousBytes(pid: number): number {
  try {
    return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
