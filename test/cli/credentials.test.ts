/**
 * Secrets of the environment and of addresses, through the verbs: in no output, in no file. The marks stand for tokens and passwords wherever
 * people put them, where they are right and where they are not.
 */

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";
import { runInProcess } from "../support/in-process-cli.js";

const MARK = "s3cr3tMARK";
let folder = "";
let server: Server;
let address = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "credentials-"));
  // Refuses everything, and repeats in its answers what it was sent.
  server = createServer((request, response) => {
    const { authorization = "" } = request.headers;
    const said = Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString("latin1");
    response.writeHead(400).end(JSON.stringify({ error_code: "BAD_REQUEST", message: `${authorization} ${said}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

/** Everything that a command shows and leaves behind. */
async function leftBy(line: string, env: Readonly<Record<string, string>>): Promise<string> {
  const { stdout, stderr } = await runInProcess(folder, line, {
    ADAMERGE_CACHE: join(folder, "cache"),
    NO_COLOR: "1",
    ...env,
  });
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), "latin1")),
  );
  return [stdout, stderr, ...texts].join("\n");
}

/** Around each mark; the whole would be pages of a report. */
const marksIn = (text: string): string[] => text.match(new RegExp(`.{0,60}${MARK}.{0,20}`, "g")) ?? [];

const SECRETS = {
  HF_TOKEN: `hf_${MARK}${"x".repeat(24)}`,
  MLFLOW_TRACKING_TOKEN: `${MARK}-token`,
  MLFLOW_TRACKING_PASSWORD: `${MARK}-password`,
  HTTP_PROXY: `http://me:${MARK}@127.0.0.1:9`,
  HTTPS_PROXY: `http://${MARK}@127.0.0.1:9`,
  AWS_SECRET_ACCESS_KEY: `${MARK}-key`,
};

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
    ["config show", `config show ${join(ROOT, "configs", "quickstart.yaml")}`],
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
