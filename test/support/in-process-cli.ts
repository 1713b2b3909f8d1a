/** Runs the command line from the sources within the test's own process, in a folder that is home and working directory too. */
import { runCli } from "../../src/cli/cli.js";
import { type CliResult, ROOT } from "./cli.js";

/** `line` is split at blanks; `env` is the whole environment. */
export async function runInProcess(
  folder: string,
  line: string,
  env: Readonly<Record<string, string>>,
): Promise<Omit<CliResult, "signal">> {
  let stdout = "";
  let stderr = "";
  const code = await runCli(line.split(" "), {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env,
    cwd: folder,
    homeDir: folder,
    packageRoot: ROOT,
    signal: new AbortController().signal,
    library: () => import("../../src/cli/library.js"),
    merging: () => import("../../src/run/merge-models/merge-models.js"),
  });
  return { code, stdout, stderr };
}
