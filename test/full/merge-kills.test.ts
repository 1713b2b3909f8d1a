/**
 * `adamerge merge` that is killed with SIGKILL at random moments and started again each time ends with the bytes of one that was left alone, and
 * the output appears only when it is complete; Ctrl-C keeps what is done; a second process is told that the first has the folder.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensorsStream } from "../../src/checkpoint/safetensors.js";
import { createRng } from "../../src/runtime/rng.js";
import { runCli, startCli, temporaryFolder } from "../support/cli.js";
import { randomArray } from "../support/random.js";

const KILLS = 8;
const TENSORS = 24;
const ELEMENTS = 1 << 20;

let cwd: string;
/** What an undisturbed merge takes. */
let wholeMs: number;
const args = (output: string) => ["merge", "merge.yaml", "--output", output];

beforeAll(async () => {
  cwd = await temporaryFolder();
  const noise = randomArray(ELEMENTS, 1, -1, 1);
  for (const [model, name] of ["base", "one", "two", "three"].entries()) {
    await mkdir(join(cwd, name));
    const specs = Array.from({ length: TENSORS }, (_, index) => ({
      name: `layers.${index}.weight`,
      shape: [1024, ELEMENTS / 1024],
      dtype: "BF16",
    }));
    const data = (tensor: string) => {
      const shift = Number(tensor.split(".")[1]);
      return noise.map((value, i) => value + 0.02 * model * (noise[(3 * i + shift) % ELEMENTS] ?? 0));
    };
    await writeSafetensorsStream(join(cwd, name, "model.safetensors"), specs, data);
    await writeFile(join(cwd, name, "config.json"), "{}");
  }
  const models = ["one", "two", "three"].map((name) => `  - {model: ${name}, parameters: {weight: 0.5, density: 0.3}}`);
  await writeFile(
    join(cwd, "merge.yaml"),
    ["models:", ...models, "base_model: base", "merge_method: dare_ties", ""].join("\n"),
  );
  const started = performance.now();
  const whole = await runCli(cwd, args("whole"));
  wholeMs = performance.now() - started;
  expect(whole.code, whole.stderr).toBe(0);
});

it(`${KILLS} kills: the same bytes, and never a part of them`, async () => {
  const rng = createRng(20261123, "kills of merges");
  for (let kills = 0; kills < KILLS; ) {
    const cli = startCli(cwd, args("killed"));
    const timer = setTimeout(() => cli.kill("SIGKILL"), (0.2 + 0.7 * rng.nextFloat()) * wholeMs);
    const { signal, stderr, code } = await cli.result;
    clearTimeout(timer);
    if (signal === null) expect(code, stderr).toBe(0);
    else kills += 1;
    if (!existsSync(join(cwd, "killed"))) continue;
    // Complete as soon as it is there; the next kill is of a new merge.
    expect((await openCheckpoint(join(cwd, "killed"))).tensors.size).toBe(TENSORS);
    await expectSame("killed");
    await rm(join(cwd, "killed"), { recursive: true });
  }
  if (!existsSync(join(cwd, "killed"))) expect((await runCli(cwd, args("killed"))).code).toBe(0);
  await expectSame("killed");
  expect((await readdir(cwd)).filter((name) => name.endsWith(".partial"))).toEqual([]);
});

it("Ctrl-C: exit 130, and the same command goes on", async () => {
  const cli = startCli(cwd, [...args("stopped"), "--threads", "1"]);
  while (!existsSync(join(cwd, "stopped.partial", "model.safetensors")))
    await new Promise((resolve) => setTimeout(resolve, 20));
  // Held, so that it is not over before the others have started.
  cli.kill("SIGSTOP");
  const second = await runCli(cwd, args("stopped"));
  expect(second.code).toBe(2);
  expect(second.stderr).toMatch(/stopped: in use by process \d+ on .* since .*Wait for it/);
  cli.kill("SIGINT");
  cli.kill("SIGCONT");
  const { code, stderr } = await cli.result;
  expect(code, stderr).toBe(130);
  expect(stderr).toMatch(/interrupted after .*; the same command goes on with it/);
  const rest = await runCli(cwd, args("stopped"));
  expect(rest.code, rest.stderr).toBe(0);
  await expectSame("stopped");
});

async function expectSame(name: string): Promise<void> {
  const bytes = (folder: string) => readFile(join(cwd, folder, "model.safetensors"));
  expect((await bytes(name)).equals(await bytes("whole"))).toBe(true);
}
