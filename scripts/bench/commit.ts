/** Which state of a checkout was measured. */
import { execFileSync } from "node:child_process";

/** Its commit, with `-dirty` where files differ from it. */
export function commitOf(checkout: string): string {
  return execFileSync("git", ["-C", checkout, "describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
}
