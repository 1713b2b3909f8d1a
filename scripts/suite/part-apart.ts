/**
 * Makes a part of a suite in a process of its own: what reading data leaves in the heap (hundreds of thousands of small arrays) makes every garbage
 * collection of a training in the same process slow, which halves its speed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** `npm run suite -- <suite> <part>`, from within `npm run suite -- <suite>`. */
export async function makePartApart(suite: string, part: string): Promise<void> {
  const [script = ""] = process.argv.slice(1);
  const child = spawn(process.execPath, [...process.execArgv, script, suite, part], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${part}: the process that makes it ended with ${code}`);
}
