/** Where a server's answer may have files put: below the directory that a person named, over nothing, through no link, and to no other host. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { storeArtifact } from "../../src/track/mlflow/artifact-store.js";
import { createMlflowClient } from "../../src/track/mlflow/client.js";

let folder: string;
let store: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), "adamerge-store-")));
  store = path.join(folder, "store");
  await mkdir(store);
  await writeFile(path.join(folder, "file"), "new");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const client = (artifactRoot?: string, uri = "http://127.0.0.1:1") =>
  createMlflowClient({ uri, fetch, sleep: async () => {}, random: () => 0, attempts: 1, artifactRoot });
const file = () => ({ path: path.join(folder, "file"), bytes: 3 });
const put = (uri: string, root: string | undefined = store, name = "config.yaml", before?: string) =>
  storeArtifact(client(root), uri, name, file(), before);
const text = (...parts: string[]) => readFile(path.join(folder, ...parts), "utf8");

describe("a directory of this machine", () => {
  it.each([(at: string) => `file://${at}/1/run`, (at: string) => `${at}/1/run`])(
    "takes new files below the root",
    async (uri) => {
      expect(await put(uri(store))).toBeUndefined();
      expect(await text("store", "1", "run", "config.yaml")).toBe("new");
      // Once more: it is there.
      expect(await put(uri(store))).toBeUndefined();
    },
  );

  it("takes nothing where no root is named", async () => {
    const why = await storeArtifact(client(), `file://${folder}/x`, "config.yaml", file());
    expect(why).toContain("only done below one that you name. Set ADAMERGE_ARTIFACT_ROOT to it");
    expect(await readdir(folder)).toEqual(["file", "store"]);
  });

  it.each([
    ["beside the root", (at: string) => `file://${at}/elsewhere`, "config.yaml"],
    ["with dots", (at: string) => `file://${at}/store/../elsewhere`, "config.yaml"],
    ["with encoded dots", (at: string) => `file://${at}/store/%2e%2e/elsewhere`, "config.yaml"],
    ["by a name like the root's", (at: string) => `file://${at}/store-2`, "config.yaml"],
    ["by the file's name", (at: string) => `file://${at}/store`, "../elsewhere/config.yaml"],
    ["the root itself", (at: string) => `file://${at}`, "store"],
  ])("takes nothing outside: %s", async (_what, uri, name) => {
    expect(await put(uri(folder), store, name)).toMatch(/^that is outside .*store, the only place/);
    expect(await readdir(folder)).toEqual(["file", "store"]);
    expect(await readdir(store)).toEqual([]);
  });

  it("follows no link below the root", async () => {
    await mkdir(path.join(folder, "elsewhere"));
    await symlink(path.join(folder, "elsewhere"), path.join(store, "1"));
    expect(await put(`file://${store}/1`)).toMatch(/store\/1" is no folder \(a link, or a file\)/);
    await symlink(path.join(folder, "elsewhere", "config.yaml"), path.join(store, "config.yaml"));
    expect(await put(`file://${store}`)).toMatch(/config.yaml" is there already and is not replaced/);
    expect(await readdir(path.join(folder, "elsewhere"))).toEqual([]);
  });

  it("replaces only what was delivered before", async () => {
    await writeFile(path.join(store, "config.yaml"), "old");
    expect(await put(`file://${store}`)).toMatch(/config.yaml" is there already and is not replaced/);
    expect(await text("store", "config.yaml")).toBe("old");
    expect(await put(`file://${store}`, store, "config.yaml", "another's")).toMatch(/not replaced/);
    const before = createHash("sha256").update("old").digest("hex");
    expect(await put(`file://${store}`, store, "config.yaml", before)).toBeUndefined();
    expect(await text("store", "config.yaml")).toBe("new");
    expect(await readdir(store)).toEqual(["config.yaml"]);
  });
});

it.each(["s3://bucket/x", "dbfs:/x", "gs://b/x", "ftp://h/x", "http://h/x", "file://host/x", "./x", ""])(
  "%s is no store that files are put into",
  async (uri) => {
    expect(await put(uri)).toContain("Start the server with --serve-artifacts to have the files delivered through it");
    expect(await readdir(store)).toEqual([]);
  },
);

describe("another host", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  /** A server that counts what comes, and answers with `answer`. */
  async function start(answer: { status: number; location?: string }): Promise<{ uri: string; seen: string[] }> {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      request.resume();
      const headers = answer.location === undefined ? {} : { location: answer.location };
      response.writeHead(answer.status, { connection: "close", ...headers }).end("{}");
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
  }
  const clientOf = (uri: string) =>
    createMlflowClient({ uri, token: "t", fetch, sleep: async () => {}, random: () => 0, attempts: 1 });

  it("gets no artifacts, although the server names it: they go to the one that is asked", async () => {
    const server = await start({ status: 200 });
    const store = (uri: string) => storeArtifact(clientOf(server.uri), uri, "x", file());
    expect(await store("mlflow-artifacts://evil.example/1")).toBeUndefined();
    expect(server.seen).toEqual(["PUT /api/2.0/mlflow-artifacts/artifacts/1/x Bearer t"]);
  });

  it("gets nothing by a redirect; one within the server is followed", async () => {
    const other = await start({ status: 200 });
    const server = await start({ status: 307, location: `${other.uri}/x` });
    await expect(storeArtifact(clientOf(server.uri), "mlflow-artifacts:/1", "x", file())).rejects.toThrow(
      `the tracking server sends requests on to ${other.uri}, which is not followed`,
    );
    expect(other.seen).toEqual([]);
    const circle = await start({ status: 308, location: "/again" });
    await expect(storeArtifact(clientOf(circle.uri), "mlflow-artifacts:/1", "x", file())).rejects.toThrow(
      /which is not followed/,
    );
    expect(circle.seen).toHaveLength(4);
  });
});
