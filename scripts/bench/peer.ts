/**
 * A process that is measured: it answers one JSON line with one JSON line, so that two peers can take turns within one run, and
 * its memory is watched from outside by the same means for both.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** Memory is looked at this often; a peak shorter than that is missed. */
const SAMPLE_MS = 20;

export interface Peer {
  /** Of the process. */
  readonly pid: number;
  /** Sends a request and waits for its answer. Throws when the process answers with `error` or ends. */
  ask(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  /** Largest anonymous memory so far: what cannot be shared with other processes or dropped by the kernel. */
  peakAnonymousBytes(): number;
  close(): Promise<void>;
}

/** Starts `command`; its stderr goes to ours. */
export function startPeer(name: string, command: string, args: readonly string[]): Peer {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let peak = 0;
  const sampler = setInterval(() => {
    peak = Math.max(peak, anonymousBytes(child));
  }, SAMPLE_MS);
  return {
    pid: child.pid ?? 0,
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error(`${name} ended (exit code ${child.exitCode}) instead of answering`);
      const answer: Record<string, unknown> = JSON.parse(String(value));
      if (answer.error !== undefined) throw new Error(`${name}: ${String(answer.error)}`);
      return answer;
    },
    peakAnonymousBytes: () => peak,
    close: async () => {
      clearInterval(sampler);
      child.stdin.end();
      await ended;
    },
  };
}

function anonymousBytes({ pid }: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  } catch {
    // The process has ended; what was seen before stands.
    return 0;
  }
}

/** Answers requests from stdin, one after another, until it is closed. For the peer's own side. */
export async function serve(
  handle: (request: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: Readonly<Record<string, unknown>>;
    try {
      answer = await handle(JSON.parse(line));
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
