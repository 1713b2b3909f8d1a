/**
 * What the hub says of a repository: the commit of a revision, the files at a commit, the content of a small file. The paths of the
 * API and its paging are @huggingface/hub's; requests go through `request.ts` (its own never try again and send the token wherever
 * a page's link leads), and what comes back is validated.
 */
import { HubError } from "../../errors.js";
import { BodyBoundError, readBody } from "../../runtime/bounded-body.js";
import { contentHash } from "./content-hash.js";
import { type HubFile, MAX_FILES, parseEntry } from "./listing.js";
import { type HubReference, isCommit, shownReference } from "./reference.js";
import { ask, type Hub, type Question, TemporaryFailure, withRetries } from "./request.js";

/** A page of a listing has 1000 entries of some hundred bytes. */
const MAX_ANSWER_BYTES = 50_000_000;
/** Such a page, and the small files that are read, at 100 KB/s. */
const MAX_ANSWER_MS = 10 * 60_000;
/** Pages have some hundred entries at least, of files and folders. */
const MAX_PAGES = 1000;
const MAX_ENTRIES = 2 * MAX_FILES;

/** The commit that a branch or tag is at now. Throws HubError. */
export async function fetchCommit(hub: Hub, reference: HubReference): Promise<string> {
  if (isCommit(reference.revision)) return reference.revision;
  const { modelInfo, datasetInfo } = await import("@huggingface/hub");
  const { id: name, revision, type } = reference;
  const asked = { name, revision, hubUrl: hub.endpoint, fetch: apiFetch(hub, reference) };
  const answer: { readonly sha?: unknown } = await readingJson(reference, () =>
    type === "model"
      ? modelInfo({ ...asked, additionalFields: ["sha"] })
      : datasetInfo({ ...asked, additionalFields: ["sha"] }),
  );
  if (typeof answer.sha === "string" && isCommit(answer.sha)) return answer.sha;
  throw notTheHub(reference, hub);
}

/** All files at a commit. Throws HubError. */
export async function fetchListing(hub: Hub, reference: HubReference, commit: string): Promise<readonly HubFile[]> {
  const { listFiles } = await import("@huggingface/hub");
  const where = shownReference(reference);
  const files: HubFile[] = [];
  let entryCount = 0;
  await readingJson(reference, async () => {
    const entries: AsyncIterable<unknown> = listFiles({
      repo: { type: reference.type, name: reference.id },
      revision: commit,
      recursive: true,
      hubUrl: hub.endpoint,
      fetch: apiFetch(hub, reference),
    });
    for await (const entry of entries) {
      const file = parseEntry(entry, where);
      if (file !== undefined) files.push(file);
      entryCount += 1;
      if (files.length > MAX_FILES || entryCount > MAX_ENTRIES)
        throw new HubError(`${where}: expected a repository of at most ${MAX_FILES} files, found more`);
    }
  });
  return files;
}

/** The content of a small file, checked against its hash. Throws HubError for one larger than `maxBytes`. */
export async function fetchContent(
  hub: Hub,
  reference: HubReference,
  commit: string,
  file: HubFile,
  maxBytes: number,
): Promise<Buffer> {
  const question = fileQuestion(hub, reference, commit, file.name);
  if (file.sizeBytes > maxBytes)
    throw new HubError(`${question.what}: expected at most ${maxBytes} bytes, found ${file.sizeBytes}`);
  return withRetries(hub, question.what, async () => {
    const content = await readAll(hub, question, file.sizeBytes);
    const hash = contentHash(file);
    hash.update(content);
    if (hash.hex() === file.hash) return content;
    throw new TemporaryFailure("the content is not what the hub lists (its hash differs)");
  });
}

/** The question for a file's content. */
export function fileQuestion(hub: Hub, reference: HubReference, commit: string, name: string): Question {
  const path = name.split("/").map(encodeURIComponent).join("/");
  const page = repositoryPage(hub, reference);
  return { url: `${page}/resolve/${commit}/${path}`, what: `${shownReference(reference)}: ${name}`, page };
}

function repositoryPage(hub: Hub, { type, id }: HubReference): string {
  return `${hub.endpoint}/${type === "dataset" ? "datasets/" : ""}${id}`;
}

/** What @huggingface/hub calls instead of fetch: asks the hub alone, tries again, refuses with a HubError. */
function apiFetch(hub: Hub, reference: HubReference): typeof fetch {
  const what = shownReference(reference);
  let pages = 0;
  return async (input) => {
    pages += 1;
    if (pages > MAX_PAGES)
      throw new HubError(`${what}: expected a listing of at most ${MAX_PAGES} pages, found more; check HF_ENDPOINT`);
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== new URL(hub.endpoint).origin)
      throw new HubError(`${what}: expected the rest of a listing on ${hub.endpoint}, found a link to ${url.origin}`);
    const question = { url: url.href, what, page: repositoryPage(hub, reference) };
    return withRetries(hub, what, async () => {
      const answer = await ask(hub, question);
      const content = await drain(answer.body, MAX_ANSWER_BYTES, what);
      return new Response(new Uint8Array(content), { status: 200, headers: answer.headers });
    });
  };
}

async function readAll(hub: Hub, question: Question, sizeBytes: number): Promise<Buffer> {
  const answer = await ask(hub, question);
  return drain(answer.body, sizeBytes, question.what);
}

async function drain(body: AsyncIterable<Uint8Array>, mostBytes: number, what: string): Promise<Buffer> {
  try {
    return await readBody(body, { mostBytes, mostMs: MAX_ANSWER_MS });
  } catch (error) {
    if (!(error instanceof BodyBoundError)) throw error;
    throw new HubError(
      `${what}: expected an answer of at most ${mostBytes} bytes, found ${error.message}; check HF_ENDPOINT`,
    );
  }
}

/** An answer that is no JSON, or not of the form the library walks through, is not the hub's. */
async function readingJson<T>(reference: HubReference, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)) throw error;
    throw new HubError(
      `${shownReference(reference)}: expected JSON from the hub, found something else (${error.message}); check HF_ENDPOINT`,
      { cause: error },
    );
  }
}

function notTheHub(reference: HubReference, hub: Hub): HubError {
  return new HubError(
    `${shownReference(reference)}: expected the commit of revision ${reference.revision} from ${hub.endpoint}, found none; check HF_ENDPOINT`,
  );
}
