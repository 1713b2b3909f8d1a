/**
 * Files of this machine to a model's repository on the hub, by @huggingface/hub: what is there is compared by hash
 * first, so that only what differs is sent, and a push that was stopped goes on with what is missing. One commit, on top
 * of the one that was compared with. Which files belong to a model is not known here.
 */
import { pathToFileURL } from "node:url";
import { ConfigError } from "../../../errors.js";
import { streamRegular } from "../../../runtime/regular-file.js";
import { contentHash } from "../content-hash.js";
import type { HubFile } from "../listing.js";
import { isCommit } from "../reference.js";
import { fetchListing } from "../repository.js";
import type { DownloadProgress, Hub } from "../request.js";
import { explainRefusal } from "./refused.js";
import { UploadRefusal, uploadFetch } from "./upload-fetch.js";

export interface LocalFile {
  /** In the repository, with slashes. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

export interface PushRequest {
  /** `org/name`. */
  readonly id: string;
  readonly branch: string;
  readonly files: readonly LocalFile[];
  /** Whether a file that is only in the repository would be read as a part of the new model: it is removed. */
  readonly isStale: (name: string) => boolean;
  readonly isPrivate: boolean;
  /** The token, which is needed for all but looking. */
  readonly token: string | undefined;
  /** Only the plan is wanted. */
  readonly isDryRun: boolean;
}

export interface PushPlan {
  /** Whether the repository, and the branch, are there. */
  readonly exists: boolean;
  readonly hasBranch: boolean;
  /** That the branch is at. */
  readonly commit: string | undefined;
  readonly sent: readonly LocalFile[];
  readonly unchanged: readonly LocalFile[];
  readonly removed: readonly string[];
}

export interface Pushed {
  /** The branch is at it now. */
  readonly commit: string;
  readonly url: string;
}

const DEFAULT_BRANCH = "main";

/** Compares with what is there; writes nothing. Throws HubError, and ConfigError for a public repository where a private one is asked for. */
export async function planPush(hub: Hub, request: PushRequest): Promise<PushPlan> {
  return explaining(hub, request, async () => {
    const nothing = { sent: request.files, unchanged: [], removed: [] };
    const main = await infoOf(hub, request, DEFAULT_BRANCH);
    if (main === undefined) return { exists: false, hasBranch: false, commit: undefined, ...nothing };
    if (request.isPrivate && !main.isPrivate)
      throw new ConfigError(
        `${request.id}: expected a new or private repository, as --private asks, found a public one; make it private in its settings, or choose another name`,
      );
    const { branch } = request;
    const at = branch === DEFAULT_BRANCH ? main : await infoOf(hub, request, branch);
    // A new branch begins as the main one is.
    const { commit } = at ?? main;
    return { exists: true, hasBranch: at !== undefined, commit, ...(await compared(hub, request, commit)) };
  });
}

/** Sends what the plan says, in one commit. Throws HubError. */
export async function push(
  hub: Hub,
  request: PushRequest,
  plan: PushPlan,
  { message, onProgress }: { readonly message: string; readonly onProgress: (progress: DownloadProgress) => void },
): Promise<Pushed> {
  return explaining(hub, request, async () => {
    const { id, branch } = request;
    const url = branch === DEFAULT_BRANCH ? `${hub.endpoint}/${id}` : `${hub.endpoint}/${id}/tree/${branch}`;
    const { commitIter } = await import("@huggingface/hub");
    await makePlace(hub, request, plan);
    const parent = plan.commit ?? (await infoOf(hub, request, branch))?.commit;
    const { sent, removed } = plan;
    if (sent.length + removed.length === 0 && parent !== undefined) return { commit: parent, url };
    const meter = progressOf(sent, onProgress);
    const commit = commitIter({
      ...asking(hub, request, meter.sent),
      repo: { type: "model", name: id },
      branch,
      title: message,
      ...(parent === undefined ? {} : { parentCommit: parent }),
      abortSignal: hub.signal,
      operations: [
        ...sent.map(({ name, path }) => ({
          operation: "addOrUpdate" as const,
          path: name,
          content: pathToFileURL(path),
        })),
        ...removed.map((path) => ({ operation: "delete" as const, path })),
      ],
    });
    for (;;) {
      const { done, value } = await commit.next();
      if (!done) {
        if (value?.event === "fileProgress" && value.state === "uploading") meter.file(value.path, value.progress);
        continue;
      }
      meter.end();
      const oid = value?.commit.oid ?? "";
      if (isCommit(oid)) return { commit: oid, url };
      throw new TypeError("expected the number of a commit");
    }
  });
}

/** The repository and the branch, where they are not there. */
async function makePlace(hub: Hub, request: PushRequest, { exists, hasBranch }: PushPlan): Promise<void> {
  const { createRepo, createBranch } = await import("@huggingface/hub");
  const repo = { type: "model", name: request.id } as const;
  const { fetch, hubUrl } = asking(hub, request);
  if (!exists) {
    const visibility = request.isPrivate ? ({ visibility: "private" } as const) : {};
    await createRepo({ repo, fetch, hubUrl, accessToken: ANY_TOKEN, ...visibility });
  }
  const isOther = request.branch !== DEFAULT_BRANCH;
  if (isOther && !hasBranch) await createBranch({ repo, fetch, hubUrl, branch: request.branch });
}

/** Satisfies the library's types and checks; the request that goes out has the token in its place. */
const ANY_TOKEN = "hf_";

function asking(hub: Hub, { id, token, isDryRun }: PushRequest, onSent: (bytes: number) => void = () => {}) {
  return { hubUrl: hub.endpoint, fetch: uploadFetch(hub, { what: id, token, onSent, isDryRun }) };
}

interface RevisionInfo {
  readonly commit: string;
  readonly isPrivate: boolean;
}

/** Undefined where there is no such repository or branch, as far as the token may see. */
async function infoOf(hub: Hub, request: PushRequest, revision: string): Promise<RevisionInfo | undefined> {
  const { modelInfo } = await import("@huggingface/hub");
  const asked = { name: request.id, revision, additionalFields: ["sha" as const] };
  try {
    const info = await modelInfo({ ...asking(hub, request), ...asked });
    const commit: unknown = info.sha;
    if (typeof commit === "string" && isCommit(commit)) return { commit, isPrivate: info.private };
    throw new TypeError("expected the commit of a revision");
  } catch (error) {
    // 401 is what the hub says of a name that it does not know to somebody without a token.
    if (!(error instanceof UploadRefusal) || ![401, 404].includes(error.status)) throw error;
    return undefined;
  }
}

async function compared(
  hub: Hub,
  { id, branch: revision, files, isStale, token }: PushRequest,
  commit: string,
): Promise<Pick<PushPlan, "sent" | "unchanged" | "removed">> {
  const listing = await fetchListing({ ...hub, token }, { type: "model", id, revision }, commit);
  const there = new Map(listing.map((file) => [file.name, file]));
  const sent: LocalFile[] = [];
  const unchanged: LocalFile[] = [];
  for (const file of files) {
    hub.signal.throwIfAborted();
    const other = there.get(file.name);
    const isSame =
      other !== undefined && other.sizeBytes === file.sizeBytes && (await hashOf(file, other)) === other.hash;
    (isSame ? unchanged : sent).push(file);
  }
  const own = new Set(files.map(({ name }) => name));
  const removed = [...there.keys()].filter((name) => !own.has(name) && isStale(name));
  return { sent, unchanged, removed };
}

async function hashOf({ path, sizeBytes }: LocalFile, { hash }: HubFile): Promise<string> {
  const state = contentHash({ hash, sizeBytes });
  for await (const piece of streamRegular(path, "a file of the model")) state.update(piece);
  return state.hex();
}

/** Bytes that have arrived: by part as storage takes them, or by file as the library says. */
function progressOf(files: readonly LocalFile[], onProgress: (progress: DownloadProgress) => void) {
  const begun = performance.now();
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const sizes = new Map(files.map(({ name, sizeBytes }) => [name, sizeBytes]));
  const byFile = new Map<string, number>();
  let [inParts, most] = [0, 0];
  const show = (bytes: number): void => {
    // Both are lower bounds; what is shown never goes back.
    most = Math.min(totalBytes, Math.max(most, bytes));
    onProgress({ doneBytes: most, totalBytes, seconds: (performance.now() - begun) / 1000 });
  };
  return {
    sent: (bytes: number) => {
      inParts += bytes;
      show(inParts);
    },
    file: (name: string, share: number) => {
      byFile.set(name, share * (sizes.get(name) ?? 0));
      show([...byFile.values()].reduce((sum, bytes) => sum + bytes, 0));
    },
    end: () => show(totalBytes),
  };
}

async function explaining<T>(hub: Hub, { id, token }: PushRequest, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (hub.signal.aborted) throw hub.signal.reason;
    throw await explainRefusal(error, id, { ...hub, token: hub.token ?? token });
  }
}
