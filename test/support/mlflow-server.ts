/** A real MLflow server from PyPI in a virtual environment of its own, kept between test runs. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSION = "3.17.2";
const ENVIRONMENT = join(tmpdir(), `adamerge-mlflow-${VERSION}`);
const START_LIMIT_MS = 90_000;
const INSTALL_LIMIT_MS = 300_000;

/** The environment's python, installed on first use; or why there is none. */
export function mlflowPython(): { readonly python: string } | { readonly missing: string } {
  const python = join(ENVIRONMENT, "bin", "python");
  const works = (): boolean => existsSync(python) && spawnSync(python, ["-c", "import mlflow"]).status === 0;
  if (works()) return { python };
  const made = spawnSync("python3", ["-m", "venv", ENVIRONMENT], { encoding: "utf8" });
  if (made.status !== 0)
    return { missing: `no python3 with venv (Debian: python3-venv): ${made.stderr ?? made.error}` };
  const installed = spawnSync(python, ["-m", "pip", "install", "--quiet", `mlflow==${VERSION}`], {
    encoding: "utf8",
    timeout: INSTALL_LIMIT_MS,
  });
  if (!works())
    return { missing: `mlflow ${VERSION} could not be installed: ${installed.stderr.trim().split("\n").at(-1)}` };
  return { python };
}

export interface MlflowServer {
  readonly uri: string;
  /** Kills the server at once; its store stays. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Kills what a failed test left running. */
export async function killServers(): Promise<void> {
  for (const child of running) await killGroup(child);
}

/** Starts a server over the store in `folder`, on `port` or a free one. */
export async function startMlflow(
  python: string,
  folder: string,
  port?: number,
): Promise<MlflowServer & { readonly port: number }> {
  const chosen = port ?? (await freePort());
  const logPath = join(folder, "mlflow-server.log");
  const log = openSync(logPath, "a");
  const process_ = spawn(
    python,
    ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(chosen), "--workers", "1"].concat(
      ["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`],
      ["--artifacts-destination", join(folder, "artifacts")],
    ),
    // A process group of its own, so that its workers die with it; a file for its log, since a full pipe would stop it.
    { cwd: folder, detached: true, stdio: ["ignore", log, log] },
  );
  closeSync(log);
  running.add(process_);
  const uri = `http://127.0.0.1:${chosen}`;
  const limit = Date.now() + START_LIMIT_MS;
  while (!(await answers(uri))) {
    if (process_.exitCode !== null || Date.now() > limit)
      throw new Error(`mlflow server did not start: ${readFileSync(logPath, "utf8").slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { uri, port: chosen, kill: () => killGroup(process_) };
}

async function answers(uri: string): Promise<boolean> {
  try {
    return (await fetch(`${uri}/health`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

async function killGroup(child: ChildProcess): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  process.kill(-child.pid, "SIGKILL");
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
