/**
 * The process that the fuzzer watches: makes case after case of a target, reads each whole, and reports a line of JSON for each. A case is a pure
 * function of target, seed and number. Arguments: target, seed, first case, when to end (ms since 1970), folder.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../dist/errors.js";
import * as library from "../../dist/internal.js";
import { mutateBytes } from "./mutations.js";
import { TARGETS } from "./targets.js";

export interface CaseReport {
  readonly ms: number;
  /** What the case added to the process's peak of resident memory. */
  readonly grownBytes: number;
  readonly outcome: "accepted" | "refused";
  /** What a refusal said, without names and numbers. */
  readonly rule?: string;
  readonly problem?: string;
}

/** What is kept live may not grow over a process's cases. */
const CASES_PER_PROCESS = 20_000;

const [name = "", seed = "1", first = "0", end = "0", folder = ""] = process.argv.slice(2);
const target = TARGETS.get(name);
if (target === undefined) throw new Error(`no target ${name}`);
const seeds = await target.seeds(join(folder, "seeds"));
// What the first case loads is no case's growth.
for (const content of seeds) await readCase(content);

for (let number = Number(first); Date.now() < Number(end) && number < Number(first) + CASES_PER_PROCESS; number++) {
  const rng = library.createRng("fuzz", name, Number(seed), number);
  const one = seeds[rng.nextInt(seeds.length)] ?? new Uint8Array();
  const other = seeds[rng.nextInt(seeds.length)] ?? new Uint8Array();
  const content = (target.mutate ?? mutateBytes)(one, other, rng);
  writeFileSync(join(folder, "case"), content);
  // Not writeSync: it fails when the pipe is full.
  if (!process.stdout.write(`${JSON.stringify(await readCase(content))}\n`)) await once(process.stdout, "drain");
}

async function readCase(content: Uint8Array): Promise<CaseReport> {
  if (target === undefined) throw new Error("no target");
  const peak = process.resourceUsage().maxRSS;
  const start = performance.now();
  const done = (outcome: CaseReport["outcome"], rule?: string, problem?: string): CaseReport => {
    const grownBytes = (process.resourceUsage().maxRSS - peak) * 1024;
    const found =
      problem ?? (grownBytes > target.mostGrownBytes ? `raised the peak of memory by ${grownBytes} bytes` : undefined);
    const ms = performance.now() - start;
    return { ms, grownBytes, outcome, ...(rule ? { rule } : {}), ...(found ? { problem: found } : {}) };
  };
  try {
    await target.read(content, folder);
    return done("accepted");
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const problem = error instanceof UserError ? undefined : `threw ${String(error).slice(0, 300)}`;
    return done("refused", ruleOf(message), problem);
  }
}

function ruleOf(message: string): string {
  return message
    .replaceAll(folder, "FOLDER")
    .replace(/"(?:[^"\\]|\\.)*"/gs, "TEXT")
    .replace(/\d+/g, "N")
    .slice(0, 160);
}
