/**
 * A Hugging Face hub on loopback, for tests: the public API's answers for the repositories of a directory tree (repositories.ts),
 * large files by a redirect to a second server (as the hub's storage), and faults on demand. Made for our client and for Python's
 * `huggingface_hub`, which takes its address from HF_ENDPOINT.
 *
 *     const hub = await startFakeHub(root);
 *     hub.access.set("models/org/name", { kind: "gated", token: "hf_x" });
 *     hub.faults.push({ on: /model\.safetensors/, kind: "cut", afterBytes: 1000 });
 *     ... hub.url, hub.requests ...
 *     await hub.close();
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { refuse, sendJson } from "./answers.js";
import { sendContent } from "./content.js";
import { openRepositories, POINTER_BYTES, type ServedFile, type ServedRevision } from "./repositories.js";
import { openUploads } from "./uploads.js";

/** Who may read a repository: nobody without the token; with a gate, nobody whose token has not been let in. */
export interface Access {
  readonly kind: "private" | "gated";
  readonly token: string;
}

/**
 * What goes wrong, with the requests (of one server, if it says which) whose URL matches, as many times as said (once). First in the list,
 * first to happen. Those of bytes happen where the content is sent, not to the redirect before it.
 */
export type Fault = { readonly on: RegExp; readonly times?: number; readonly server?: SeenRequest["server"] } & (
  | { readonly kind: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: "cut"; readonly afterBytes: number }
  | { readonly kind: "wrong-bytes" }
  | { readonly kind: "more-bytes" }
  | { readonly kind: "no-range" }
  | { readonly kind: "silence" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  | { readonly kind: "answer"; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
);

export interface SeenRequest {
  readonly server: "hub" | "storage";
  readonly method: string;
  readonly url: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface FakeHub {
  readonly url: string;
  /** Where large files come from. */
  readonly storageUrl: string;
  /** In the order in which they came. */
  readonly requests: SeenRequest[];
  /** By `models/org/name` or `datasets/org/name`; a repository not in it is open to all. */
  readonly access: Map<string, Access>;
  readonly faults: Fault[];
  /** Who may write: tokens by namespace. Nobody else is let in. */
  readonly writers: Map<string, string>;
  close(): Promise<void>;
}

export interface FakeHubOptions {
  /** Entries of a listing per page. */
  readonly pageSize?: number;
  /** Files that are larger are sent in parts of this size. */
  readonly partBytes?: number;
}

const BYTE_FAULTS: readonly Fault["kind"][] = ["cut", "wrong-bytes", "more-bytes", "no-range", "slow"];
const API = /^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)\/?$/;
const RESOLVE = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/;
const STORAGE = /^\/(models|datasets)\/([^/]+\/[^/]+)\/([0-9a-f]{64})$/;

/** Serves the repositories under `root` on two free ports of 127.0.0.1. */
export async function startFakeHub(
  root: string,
  { pageSize = 1000, partBytes }: FakeHubOptions = {},
): Promise<FakeHub> {
  const repositories = openRepositories(root);
  const requests: SeenRequest[] = [];
  const access = new Map<string, Access>();
  const faults: Fault[] = [];
  const writers = new Map<string, string>();
  const used = new Map<Fault, number>();
  let [url, storageUrl] = ["", ""];
  /** By sha256: what has been redirected to storage. */
  const stored = new Map<string, ServedFile>();

  const takeFault = (text: string, server: SeenRequest["server"], ofBytes: boolean): Fault | undefined => {
    const fault = faults.find(
      (one) =>
        one.on.test(text) &&
        (one.server ?? server) === server &&
        (used.get(one) ?? 0) < (one.times ?? 1) &&
        BYTE_FAULTS.includes(one.kind) === ofBytes,
    );
    if (fault !== undefined) used.set(fault, (used.get(fault) ?? 0) + 1);
    return fault;
  };
  const note = (server: SeenRequest["server"], { method = "", url: path = "", headers }: IncomingMessage) => {
    requests.push({ server, method, url: path, range: headers.range, authorization: headers.authorization });
  };

  const answerHub = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    note("hub", request);
    const fault = takeFault(`${url}${request.url}`, "hub", false);
    if (fault !== undefined && answeredByFault(fault, response)) return;
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    if (await uploads.answerHub(request, response, pathname)) return;
    const [, apiType, apiId, question, apiRevision = ""] = API.exec(pathname) ?? [];
    const [, isDataset, fileId, fileRevision = "", fileName = ""] = RESOLVE.exec(pathname) ?? [];
    const type = apiType ?? (isDataset ? "datasets" : "models");
    const id = apiId ?? fileId;
    if (id === undefined) return refuse(response, 404, "", "Not Found");
    if (!(await repositories.exists(type, id)))
      return refuse(response, 401, "RepoNotFound", "Invalid username or password.");
    if (!mayRead(access.get(`${type}/${id}`), request, response, question !== undefined)) return;
    const name = decodeURIComponent(apiId === undefined ? fileRevision : apiRevision);
    const revision = await repositories.revision(type, id, name);
    if (revision === undefined) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${name}`);
    if (question === "revision")
      return sendJson(response, infoOf(type, id, revision, access.get(`${type}/${id}`)?.kind === "private"));
    if (question === "tree") {
      const at = Number(searchParams.get("cursor") ?? 0);
      const next =
        at + pageSize < revision.files.length ? `${url}${pathname}?recursive=true&cursor=${at + pageSize}` : "";
      if (next !== "") response.setHeader("Link", `<${next}>; rel="next"`);
      return sendJson(response, revision.files.slice(at, at + pageSize).map(entryOf));
    }
    const file = revision.files.find((one) => one.name === decodeURIComponent(fileName));
    response.setHeader("X-Repo-Commit", revision.commit);
    if (file === undefined) return refuse(response, 404, "EntryNotFound", "Entry not found");
    if (file.lfs === undefined) {
      const byteFault = takeFault(`${url}${request.url}`, "hub", true);
      return sendContent(file.path, `"${file.oid}"`, request, response, byteFault);
    }
    stored.set(file.lfs, file);
    response.setHeader("X-Linked-Etag", `"${file.lfs}"`);
    response.setHeader("X-Linked-Size", file.sizeBytes);
    response.setHeader("Location", `${storageUrl}/${type}/${id}/${file.lfs}`);
    response.writeHead(302).end();
  };

  const answerStorage = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    note("storage", request);
    // Storage as the hub's refuses a request that carries a token besides the signature in its URL.
    if (request.headers.authorization !== undefined)
      return refuse(response, 400, "", "Only one auth mechanism allowed");
    if (await uploads.answerStorage(request, response)) return;
    const file = stored.get(STORAGE.exec(request.url ?? "")?.[3] ?? "");
    if (file === undefined) return refuse(response, 403, "", "AccessDenied");
    const text = `${storageUrl}${request.url} ${file.name}`;
    const fault = takeFault(text, "storage", false);
    if (fault !== undefined && answeredByFault(fault, response)) return;
    await sendContent(file.path, `"${file.lfs}"`, request, response, takeFault(text, "storage", true));
  };

  const hubServer = await listen(answerHub);
  const storageServer = await listen(answerStorage);
  url = addressOf(hubServer);
  storageUrl = addressOf(storageServer);
  const uploads = openUploads({ root, repositories, access, writers, url, storageUrl, partBytes });
  const close = async () => {
    for (const server of [hubServer, storageServer]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  return { url, storageUrl, requests, access, faults, writers, close };
}

/** Whether a fault took the place of the whole answer. */
function answeredByFault(fault: Fault, response: ServerResponse): boolean {
  if (fault.kind === "silence") return true;
  if (fault.kind === "status") response.writeHead(fault.status, fault.headers).end();
  else if (fault.kind === "answer") response.writeHead(200, fault.headers).end(fault.body);
  else return false;
  return true;
}

/** As the hub: a private repository looks like one that is not there; a gated one shows its card and listing, but no file. */
function mayRead(access: Access | undefined, { headers }: IncomingMessage, response: ServerResponse, isApi: boolean) {
  if (access === undefined || headers.authorization === `Bearer ${access.token}`) return true;
  if (access.kind === "gated" && isApi) return true;
  if (access.kind === "gated")
    refuse(response, headers.authorization === undefined ? 401 : 403, "GatedRepo", "Access is restricted");
  else if (headers.authorization === undefined) refuse(response, 401, "RepoNotFound", "Invalid username or password.");
  else refuse(response, 404, "RepoNotFound", "Repository not found");
  return false;
}

function infoOf(type: string, id: string, { commit, files }: ServedRevision, isPrivate: boolean) {
  const common = {
    _id: commit.slice(0, 24),
    id,
    sha: commit,
    private: isPrivate,
    gated: false,
    disabled: false,
    tags: [],
    downloads: 0,
    likes: 0,
  };
  const siblings = files.map(({ name }) => ({ rfilename: name }));
  const date = "2024-01-01T00:00:00.000Z";
  return { ...common, ...(type === "models" ? { modelId: id } : {}), createdAt: date, lastModified: date, siblings };
}

function entryOf({ name, sizeBytes, oid, lfs }: ServedFile) {
  const large = lfs === undefined ? {} : { lfs: { oid: lfs, size: sizeBytes, pointerSize: POINTER_BYTES } };
  return { type: "file", path: name, size: sizeBytes, oid, ...large };
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function addressOf(server: Server): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}
