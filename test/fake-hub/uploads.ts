/**
 * What the fake hub takes: new repositories and branches, and commits by the public protocol, strictly: preupload, the
 * batch of git-lfs, parts or whole files to storage (whose hash is checked), verification, and the commit as lines of
 * JSON, which must come on top of the head that it names. What is committed lies in the served folders and is read from
 * there. Source: huggingface_hub, _commit_api.py and lfs.py; @huggingface/hub, commit.ts.
 */
import { createHash, randomBytes } from "node:crypto";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { z } from "zod";
import { refuse, sendJson } from "./answers.js";
import type { Access } from "./fake-hub.js";
import type { openRepositories } from "./repositories.js";

interface UploadSurroundings {
  readonly root: string;
  readonly repositories: ReturnType<typeof openRepositories>;
  readonly access: Map<string, Access>;
  /** Token by namespace. */
  readonly writers: ReadonlyMap<string, string>;
  readonly url: string;
  readonly storageUrl: string;
  readonly partBytes: number | undefined;
}

const LFS = /\.(?:safetensors|parquet|bin)$/;
const LFS_BYTES = 10_000_000;
const LFS_JSON = "application/vnd.git-lfs+json";
const ROUTE = /^\/api\/models\/([^/]+\/[^/]+)\/(branch|preupload|commit)\/([^/]+)$/;
const BATCH = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/(batch|verify|complete)$/;
const PUT = /^\/upload\/([0-9a-f]{64})\/(\d+)\?signature=([0-9a-f]+)$/;
const ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n";

const createSchema = z.object({
  ...{ name: z.string(), organization: z.string(), type: z.literal("model").nullish() },
  visibility: z.enum(["public", "private"]).optional(),
});
const preuploadSchema = z.object({
  files: z.array(z.object({ path: z.string(), size: z.int().min(0), sample: z.base64() })).min(1),
});
const batchSchema = z.object({
  ...{ operation: z.literal("upload"), transfers: z.array(z.string()), hash_algo: z.enum(["sha_256", "sha256"]) },
  objects: z.array(z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) })).min(1),
});
const completeSchema = z.object({
  oid: z.string(),
  parts: z.array(z.object({ partNumber: z.int(), etag: z.string().min(1) })),
});
const lineSchema = z.discriminatedUnion("key", [
  z.object({ key: z.literal("header"), value: z.object({ summary: z.string(), parentCommit: z.string().optional() }) }),
  z.object({
    key: z.literal("file"),
    value: z.object({ path: z.string(), content: z.base64(), encoding: z.literal("base64") }),
  }),
  z.object({
    key: z.literal("lfsFile"),
    value: z.object({ path: z.string(), algo: z.literal("sha256"), oid: z.string(), size: z.int() }),
  }),
  z.object({ key: z.literal("deletedFile"), value: z.object({ path: z.string() }) }),
]);

export function openUploads({ root, repositories, access, writers, url, storageUrl, partBytes }: UploadSurroundings) {
  /** What storage has, by sha256, and what of others has come in parts. */
  const objects = new Map<string, Buffer>();
  const parts = new Map<string, Buffer[]>();
  const signature = randomBytes(8).toString("hex");
  const folderOf = (id: string, branch: string): string =>
    join(root, "models", branch === "main" ? id : `${id}@${branch}`);

  /** Whether the token of a request may write there; answers where it may not. */
  const mayWrite = (namespace: string, { headers }: IncomingMessage, response: ServerResponse): boolean => {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (token !== undefined && writers.get(namespace) === token) return true;
    if (token === undefined || ![...writers.values()].includes(token))
      refuse(response, 401, "", "Invalid username or password.");
    else refuse(response, 403, "", `You don't have the rights to create a model under the namespace "${namespace}"`);
    return false;
  };

  const create = async (body: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { name, organization, visibility } = createSchema.parse(JSON.parse(body.toString("utf8")));
    if (!mayWrite(organization, request, response)) return;
    const id = `${organization}/${name}`;
    if (await repositories.exists("models", id)) {
      response.writeHead(409, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: "You already created this model repo", url: `${url}/${id}` }));
      return;
    }
    await mkdir(folderOf(id, "main"), { recursive: true });
    await writeFile(join(folderOf(id, "main"), ".gitattributes"), ATTRIBUTES);
    const token = writers.get(organization) ?? "";
    if (visibility === "private") access.set(`models/${id}`, { kind: "private", token });
    sendJson(response, { url: `${url}/${id}`, id });
  };

  const batch = async (
    body: Buffer,
    id: string,
    { headers }: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (headers.accept !== LFS_JSON || headers["content-type"] !== LFS_JSON)
      return refuse(response, 406, "", "Not a request of git-lfs");
    const { objects: asked } = batchSchema.parse(JSON.parse(body.toString("utf8")));
    const answered = asked.map(({ oid, size }) => {
      if (objects.has(oid)) return { oid, size };
      const at = (part: number): string => `${storageUrl}/upload/${oid}/${part}?signature=${signature}`;
      const count = partBytes === undefined ? 1 : Math.ceil(size / partBytes);
      const verify = { href: `${url}/${id}.git/info/lfs/objects/verify` };
      if (count <= 1) return { oid, size, actions: { upload: { href: at(1) }, verify } };
      const places = Array.from({ length: count }, (_, part) => [String(part + 1), at(part + 1)]);
      const header = { chunk_size: String(partBytes), ...Object.fromEntries(places) };
      const href = `${url}/${id}.git/info/lfs/objects/complete`;
      return { oid, size, actions: { upload: { href, header }, verify } };
    });
    response.setHeader("Content-Type", LFS_JSON);
    response
      .writeHead(200)
      .end(JSON.stringify({ transfer: partBytes === undefined ? "basic" : "multipart", objects: answered }));
  };

  const commit = async (
    body: Buffer,
    id: string,
    branch: string,
    request: IncomingMessage,
    response: ServerResponse,
  ) => {
    if (request.headers["content-type"] !== "application/x-ndjson")
      return refuse(response, 415, "", "Expected lines of JSON");
    const [header, ...operations] = body
      .toString("utf8")
      .trimEnd()
      .split("\n")
      .map((line) => lineSchema.parse(JSON.parse(line)));
    if (header?.key !== "header") return refuse(response, 400, "", "Expected a header first");
    const head = await repositories.revision("models", id, branch);
    if (head === undefined) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${branch}`);
    const { parentCommit, summary } = header.value;
    if (parentCommit !== undefined && parentCommit !== head.commit)
      return refuse(response, 412, "", "A commit has happened since. Please refresh and try again.");
    if (summary === "" || operations.length === 0) return refuse(response, 400, "", "Nothing to commit");
    const folder = folderOf(id, branch);
    for (const { key, value } of operations) {
      if (key === "lfsFile" && objects.get(value.oid)?.length !== value.size)
        return refuse(response, 400, "", `LFS pointer pointed to a file that does not exist: ${value.path}`);
      if (key === "file" && LFS.test(value.path)) return refuse(response, 400, "", `${value.path} must be in LFS`);
    }
    for (const operation of operations) {
      if (operation.key === "header") continue;
      const path = join(folder, operation.value.path);
      await mkdir(dirname(path), { recursive: true });
      if (operation.key === "deletedFile") await rm(path);
      else if (operation.key === "lfsFile") await writeFile(path, objects.get(operation.value.oid) ?? "");
      else await writeFile(path, Buffer.from(operation.value.content, "base64"));
    }
    const oid = (await repositories.revision("models", id, branch))?.commit ?? "";
    sendJson(response, { success: true, commitOid: oid, commitUrl: `${url}/${id}/commit/${oid}`, hookOutput: "" });
  };

  const answerHub = async (request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean> => {
    if (request.method !== "POST") return false;
    const body = await bodyOf(request);
    await answerPost(body, request, response, path).catch((error: unknown) => {
      if (!(error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
      refuse(response, 400, "", error.message.replace(/\s+/g, " "));
    });
    return true;
  };

  const answerPost = async (
    body: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> => {
    const [, routeId, question, encoded = ""] = ROUTE.exec(path) ?? [];
    const [, lfsId, lfs] = BATCH.exec(path) ?? [];
    const id = routeId ?? lfsId ?? "";
    // Python's client has the card's head looked through before.
    if (path === "/api/validate-yaml") sendJson(response, { errors: [], warnings: [] });
    else if (path === "/api/repos/create") await create(body, request, response);
    else if (!(await repositories.exists("models", id))) refuse(response, 404, "RepoNotFound", "Repository not found");
    else if (lfs === "complete") await complete(body, response);
    else if (lfs === "verify") sendJson(response, {});
    else if (!mayWrite(id.split("/")[0] ?? "", request, response)) return;
    else if (lfs === "batch") await batch(body, id, request, response);
    else if (question === "commit") await commit(body, id, decodeURIComponent(encoded), request, response);
    else if (question === "branch") {
      await cp(folderOf(id, "main"), folderOf(id, decodeURIComponent(encoded)), { recursive: true });
      response.writeHead(200).end();
    } else if (question === "preupload") {
      const { files } = preuploadSchema.parse(JSON.parse(body.toString("utf8")));
      const modeOf = (name: string, size: number) => (LFS.test(name) || size > LFS_BYTES ? "lfs" : "regular");
      sendJson(response, {
        files: files.map(({ path: name, size }) => ({
          path: name,
          uploadMode: modeOf(name, size),
          shouldIgnore: false,
        })),
      });
    } else refuse(response, 404, "", "Not Found");
  };

  const complete = async (body: Buffer, response: ServerResponse): Promise<void> => {
    const { oid, parts: told } = completeSchema.parse(JSON.parse(body.toString("utf8")));
    const have = parts.get(oid) ?? [];
    const content = Buffer.concat(told.map(({ partNumber }) => have[partNumber - 1] ?? Buffer.alloc(0)));
    if (told.some(({ partNumber, etag }) => etag !== etagOf(have[partNumber - 1])) || hashOf(content) !== oid)
      return refuse(response, 400, "", "Invalid parts");
    objects.set(oid, content);
    sendJson(response, {});
  };

  const answerStorage = async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    if (request.method !== "PUT") return false;
    const body = await bodyOf(request);
    const [, oid = "", part = "", signed] = PUT.exec(request.url ?? "") ?? [];
    if (signed !== signature) refuse(response, 403, "", "AccessDenied");
    else if (request.headers["content-length"] === undefined) refuse(response, 411, "", "MissingContentLength");
    else {
      const have = parts.get(oid) ?? [];
      have[Number(part) - 1] = body;
      parts.set(oid, have);
      // A whole file, whose hash its address says.
      if (hashOf(body) === oid) objects.set(oid, body);
      response.setHeader("ETag", etagOf(body));
      response.writeHead(200).end();
    }
    return true;
  };

  return { answerHub, answerStorage };
}

const hashOf = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
const etagOf = (content: Buffer | undefined): string =>
  `"${createHash("md5")
    .update(content ?? "")
    .digest("hex")}"`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
