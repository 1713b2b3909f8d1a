/**
 * Secrets of the environment and of addresses, through a fit that is tracked and through doctor: in no output, in no file. The marks stand for tokens and passwords wherever
 * people put them, where they are right and where they are not.
 */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";
import { runInProcess } from "../support/in-process-cli.js";

const MARK = "s3cr3tMARK";
let folder = "";
let server: Server;
const seen: (string | undefined)[] = [];
let address = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "credentials-"));
  // Refuses everything, and repeats in its answers what it was sent.
  server = createServer((request, response) => {
    const { authorization = "" } = request.headers;
    seen.push(authorization);
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

const FIT = `fit ${join(ROOT, "configs", "quickstart.yaml")} steps=1 tasks=[mnist] data.adapt_limit=4 data.eval_limit=4 data.batch_size=2 name=x`;

it("a fit with a server that refuses it", async () => {
  const env = { MLFLOW_TRACKING_URI: `http://me:${MARK}@${address}` };
  const left = await leftBy(`${FIT} --overwrite`, env);
  expect(left.includes("the tracking server answered HTTP 400")).toBe(true);
  expect(left.includes('"state": "finished"')).toBe(true);
  expect(marksIn(left)).toEqual([]);
  expect(seen).toContain(`Basic ${Buffer.from(`me:${MARK}`).toString("base64")}`);
});

it("doctor", async () => {
  for (const uri of [`http://me:${MARK}@${address}`, `http://me:${MARK}@/x@${address}`, `me:${MARK}@${address}`]) {
    const left = await leftBy("doctor", { ...SECRETS, MLFLOW_TRACKING_URI: uri });
    expect(left.includes("tracker")).toBe(true);
    expect(marksIn(left)).toEqual([]);
  }
});
