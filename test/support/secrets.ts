/** Secrets of an environment, a server that repeats what it is sent, and what a command shows and leaves behind: for tests that look for the mark in it. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInProcess } from "./in-process-cli.js";

export const MARK = "s3cr3tMARK";

/** Wherever people put tokens and passwords. */
export const SECRETS = {
  HF_TOKEN: `hf_${MARK}${"x".repeat(24)}`,
  MLFLOW_TRACKING_TOKEN: `${MARK}-token`,
  MLFLOW_TRACKING_PASSWORD: `${MARK}-password`,
  HTTP_PROXY: `http://me:${MARK}@127.0.0.1:9`,
  HTTPS_PROXY: `http://${MARK}@127.0.0.1:9`,
  AWS_SECRET_ACCESS_KEY: `${MARK}-key`,
};

/** Around each mark; the whole would be pages of a report. */
export const marksIn = (text: string): string[] => text.match(new RegExp(`.{0,60}${MARK}.{0,20}`, "g")) ?? [];

export interface SecretsBench {
  readonly folder: string;
  /** Of a server that refuses everything, and repeats in its answers what it was sent. */
  readonly address: string;
  /** The `authorization` of its requests. */
  readonly seen: readonly string[];
  /** Everything that a command shows and leaves behind. */
  leftBy(line: string, env: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

export async function openSecretsBench(): Promise<SecretsBench> {
  const folder = await mkdtemp(join(tmpdir(), "credentials-"));
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const { authorization = "" } = request.headers;
    seen.push(authorization);
    const said = Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString("latin1");
    response.writeHead(400).end(JSON.stringify({ error_code: "BAD_REQUEST", message: `${authorization} ${said}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    folder,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async leftBy(line, env) {
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
    },
    async close() {
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}
