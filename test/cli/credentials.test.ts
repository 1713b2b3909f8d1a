/**
 * Secrets of the environment and of addresses, through the verbs: in no output, in no file. The marks stand for tokens and passwords wherever
 * people put them, where they are right and where they are not.
 */

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";
import { runInProcess } from "../support/in-process-cli.js";
import { MARK, marksIn, openSecretsBench, SECRETS, type SecretsBench } from "../support/secrets.js";

let bench: SecretsBench;
let folder = "";
let address = "";
const leftBy: SecretsBench["leftBy"] = (line, env) => bench.leftBy(line, env);

beforeAll(async () => {
  bench = await openSecretsBench();
  ({ folder, address } = bench);
});
afterAll(() => bench.close());

describe.each([
  ["as names of their own", () => ({ ...SECRETS, MLFLOW_TRACKING_URI: `http://${address}` })],
  ["in the address of the server", () => ({ MLFLOW_TRACKING_URI: `http://me:${MARK}@${address}/` })],
  [
    "in an address with marks in the password",
    () => ({ MLFLOW_TRACKING_URI: `http://me:${MARK}@/#?${MARK}@${address}` }),
  ],
  ["in the query of the address", () => ({ MLFLOW_TRACKING_URI: `http://${address}?token=${MARK}` })],
  ["in an address without a scheme", () => ({ MLFLOW_TRACKING_URI: `me:${MARK}@${address}` })],
  [
    "tokens with line breaks",
    () => ({ HF_TOKEN: `a\n${MARK}`, MLFLOW_TRACKING_URI: `http://${address}`, MLFLOW_TRACKING_TOKEN: `a\r\n${MARK}` }),
  ],
  ["in the address of the hub", () => ({ HF_ENDPOINT: `http://me:${MARK}@${address}?${MARK}` })],
  ["in an address of the hub that is none", () => ({ HF_ENDPOINT: `me:${MARK}@${address}` })],
] as const)("%s", (_, env) => {
  it.each([
    ["config show", `config show ${join(ROOT, "configs", "quickstart-mini8.yaml")}`],
    ["sync", "sync runs/x/x"],
    ["pull", "pull org/name"],
    ["inspect", "inspect none"],
  ])("%s", async (_name, line) => {
    expect(marksIn(await leftBy(line, { HF_ENDPOINT: `http://${address}`, ...env() }))).toEqual([]);
  });
});

it.each([
  ["sync --to", `sync runs --to http://me:${MARK}@x/y@127.0.0.1/`],
  ["pull of an address", `pull https://me:${MARK}@huggingface.co/org/name`],
  ["inspect of an address", `inspect https://me:${MARK}@huggingface.co/org/name`],
  ["a merge of an address", "merge merge.yaml --output out"],
])("in what is typed: %s", async (_, line) => {
  const merge = `models:\n  - model: https://me:${MARK}@huggingface.co/org/name\nmerge_method: linear\n`;
  if (line.startsWith("merge")) await writeFile(join(folder, "merge.yaml"), merge);
  const { stdout, stderr, code } = await runInProcess(folder, line, { HF_ENDPOINT: `http://${address}` });
  expect(code).not.toBe(0);
  expect(stdout + stderr).not.toContain(MARK);
  await rm(join(folder, "merge.yaml"), { force: true });
});
