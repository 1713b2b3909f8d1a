/** A fake hub with repositories of small files, a cache and a client that waits only milliseconds. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Hub } from "../../../src/checkpoint/hub/request.js";
import { type FakeHub, type FakeHubOptions, startFakeHub } from "../../fake-hub/fake-hub.js";

export interface HubFixture {
  readonly root: string;
  readonly cacheDir: string;
  readonly server: FakeHub;
  readonly lines: string[];
  /** A client; each call is another one over the same cache. */
  client(changes?: Partial<Hub>): Hub;
}

/** Deterministic bytes that do not compress. */
export function noise(size: number, seed: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < size; at += 32) pieces.push(createHash("sha256").update(`${seed} ${at}`).digest());
  return Buffer.concat(pieces).subarray(0, size);
}

/** `files`: path below the hub's root (`models/org/name/config.json`) to content. */
export async function hubFixture(
  files: Readonly<Record<string, string | Buffer>>,
  options: FakeHubOptions = {},
): Promise<HubFixture> {
  const folder = mkdtempSync(join(tmpdir(), "adamerge hub "));
  const root = join(folder, "served");
  const cacheDir = join(folder, "cache");
  for (const [name, content] of Object.entries(files)) writeServed(root, name, content);
  const server = await startFakeHub(root, options);
  const lines: string[] = [];
  const client = (changes: Partial<Hub> = {}): Hub => ({
    endpoint: server.url,
    cacheDir,
    token: undefined,
    tokenPath: undefined,
    offline: false,
    fetch,
    signal: new AbortController().signal,
    log: (line) => lines.push(line),
    timing: { answerMs: 2000, silenceMs: 500, backoffMs: 1, attempts: 4 },
    ...changes,
  });
  return { root, cacheDir, server, lines, client };
}

export function writeServed(root: string, name: string, content: string | Buffer): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}
