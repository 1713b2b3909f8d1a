/** Runs the command line from the sources within the test's own process, in a folder that is home and working directory too. */
import { runCli } from "../../src/cli/cli.js";
import { library } from "../../src/cli/library.js";
import { type CliResult, ROOT } from "./cli.js";

/** `line` is split at blanks; `env` is the whole environment but for the home. */
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
    env: { HOME: folder, ...env },
    cwd: folder,
    packageRoot: ROOT,
    signal: new AbortController().signal,
    library,
  });
  return { code, stdout, stderr };
}
