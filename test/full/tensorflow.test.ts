/**
 * `npm run tensorflow` on a copy of the project, so that its node_modules stays as `npm ci` left it; then, on TensorFlow's real library, the conformance
 * tests of the gradient, of fifty steps and of text encoders, and an evaluation by the command line. Fetches 270 MB from PyPI and compiles for
 * a quarter of a minute; where the library is in adamerge's cache it is not fetched again.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { ROOT } from "../support/cli.js";

const LIMIT_MS = 900_000;
const COPIED = ["configs", "datasets", "dist", "node_modules", "package.json", "package-lock.json", "scripts", "src"];
const FOR_TESTS = ["test", "tsconfig.json", "vitest.config.ts", "vitest.shared.ts", ".npmrc"];
/** That have cases by backend. */
const CONFORMANCE = ["step", "fit", "text-encoders"];

const needed = [["g++", "--version"] as const, ["python3", "--version"] as const];
const lacking = needed.find(([command, ...args]) => spawnSync(command, args).status !== 0)?.[0];
const missing =
  process.platform !== "linux" || lacking !== undefined ? `needs Linux and ${lacking ?? "its tools"}` : undefined;
if (missing !== undefined) console.warn(`tensorflow tests are skipped: ${missing}`);

let folder = "";
let project = "";
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^VITEST/i.test(name)));

function run(command: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  return spawnSync(command, args, { cwd: project, encoding: "utf8", env: { ...env, ...more }, timeout: LIMIT_MS });
}

function adamerge(...args: string[]) {
  return run(process.execPath, [path.join("dist", "cli", "main.js"), ...args]);
}

beforeAll(async () => {
  if (missing !== undefined) return;
  folder = await mkdtemp(path.join(tmpdir(), "tensorflow-"));
  project = path.join(folder, "project");
  const all = [...COPIED, ...FOR_TESTS].map((name) => path.join(ROOT, name));
  // Hard links where the folder for temporary files is on the same disk. npm replaces files, and never writes into them.
  const copy = (option: string) => spawnSync("sh", ["-ec", 'mkdir -p "$0"; cp "$@" "$0"', project, option, ...all]);
  if (copy("-al").status !== 0) expect(copy("-a").status).toBe(0);
  // Where it was readied in the project itself.
  await rm(path.join(project, "node_modules", "@tensorflow", "tfjs-node-gpu"), { recursive: true, force: true });
}, LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("TensorFlow's library", () => {
  const only = (context: TestContext): void => context.skip(missing !== undefined, missing);

  it(
    "is readied by npm run tensorflow, and doctor names it",
    (context) => {
      only(context);
      expect(adamerge("doctor").stdout).toMatch(/tfjs on tensorflow +not available \(optional\).*npm run tensorflow/s);
      const { status, stdout, stderr } = run("npm", ["run", "tensorflow"]);
      expect(status, `${stdout}${stderr}`).toBe(0);
      expect(stdout).toMatch(/TensorFlow 2\.\d+\.\d+ on the (CPU|GPU) works/);
      expect(adamerge("doctor").stdout).toMatch(/ok +tfjs on tensorflow +works: TensorFlow 2\.\d+\.\d+, on the CPU/);
    },
    LIMIT_MS,
  );

  it(
    "gives the references' gradient, fifty steps and features",
    (context) => {
      only(context);
      const files = CONFORMANCE.map((name) => path.join("test", "conformance", `${name}.test.ts`));
      const { status, stdout, stderr } = run(
        "npx",
        ["vitest", "run", ...files, "-t", "tensorflow", "--maxWorkers=1", "--testTimeout=120000"],
        { ADAMERGE_TEST_TENSORFLOW: "1", NO_COLOR: "1" },
      );
      expect(status, `${stdout}${stderr}`).toBe(0);
      // Every file has cases of it.
      expect(stdout).toMatch(new RegExp(`Test Files +${CONFORMANCE.length} passed`));
    },
    LIMIT_MS,
  );

  it(
    "judges as the compiled engine does",
    (context) => {
      only(context);
      const judged = ["tensorflow", "onnx"].map((name) => {
        const engine = name === "onnx" ? ["device=cpu"] : ["engine=tfjs", "device=tensorflow"];
        const settings = ["tasks=[mnist,earth]", "data.eval_limit=40", "--method", "weight_averaging", "--quiet"];
        const predictions = path.join(folder, `${name}.json`);
        const found = adamerge("eval", "mini8", ...engine, ...settings, "--predictions", predictions);
        expect(found.status, found.stderr).toBe(0);
        // Nothing of TensorFlow's own log.
        expect(found.stderr).not.toMatch(/absl|cpu_feature_guard/);
        return found.stdout;
      });
      expect(judged[0]).toMatch(/\d/);
      expect(judged[0]).toBe(judged[1]);
    },
    LIMIT_MS,
  );
});
