/** What every comparison does with its report: prints it, keeps it where asked, and fails when a bound is missed. */
import { writeFile } from "node:fs/promises";

/** Sets the exit code to 1 unless `as_asked`. */
export async function finish(
  report: Readonly<Record<string, unknown>> & { readonly as_asked: boolean },
  path: string | undefined,
): Promise<void> {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  process.stdout.write(text);
  if (path !== undefined) await writeFile(path, text);
  if (!report.as_asked) process.exitCode = 1;
}
