/**
 * What @huggingface/hub calls instead of fetch when it uploads: the token goes to the hub alone, what may pass is tried
 * again, and an answer that will stay is thrown as it came, for whoever knows what it means (refused.ts). A commit whose
 * answer was lost is not sent twice.
 */
import { readBody } from "../../../runtime/bounded-body.js";
import { parseBoundedJson } from "../../../runtime/bounded-json.js";
import { type Hub, retryAfterMs, TEMPORARY, TemporaryFailure, withRetries } from "../request.js";

/** Of a refusal, which is a sentence; and how long it may take to come. */
const MAX_REFUSAL = { mostBytes: 100_000, mostMs: 30_000 };
const ADVICE = "Try again later: the same command sends only what is missing";
/** Of a dry run, which a person waits for: a second try, and no word of sending. */
const LOOKING = { advice: "Check the network: what is there is compared with, and nothing was sent", attempts: 2 };
const COMMIT = /^\/api\/models\/[^/]+\/[^/]+\/commit\//;

/** An answer that will not change by asking again. */
export class UploadRefusal extends Error {
  override readonly name = "UploadRefusal";
  constructor(
    readonly status: number,
    /** `X-Error-Code`; empty where there is none. */
    readonly code: string,
    /** The hub's own words. */
    readonly said: string,
  ) {
    super(said);
  }
}

export interface UploadFetch {
  /** `org/name`, for messages. */
  readonly what: string;
  readonly token: string | undefined;
  /** Told the bytes of each part that has arrived. */
  readonly onSent: (bytes: number) => void;
  /** Nothing will be sent. */
  readonly isDryRun: boolean;
}

export function uploadFetch(hub: Hub, { what, token, onSent, isDryRun }: UploadFetch): typeof fetch {
  const { origin } = new URL(hub.endpoint);
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    const isHub = url.origin === origin;
    // Storage has signed addresses or tokens of its own; ours is nobody's but the hub's.
    if (headers.get("authorization")?.startsWith("Bearer hf_") === true || isHub) headers.delete("authorization");
    if (isHub && token !== undefined) headers.set("authorization", `Bearer ${token}`);
    if (isHub) headers.set("user-agent", "adamerge");
    const send = async (): Promise<Response> => {
      const response = await hub.fetch(url.href, { ...init, headers });
      if (response.ok) return response;
      if (TEMPORARY.includes(response.status)) {
        await response.body?.cancel();
        const wait = retryAfterMs(response.headers);
        throw new TemporaryFailure(`${isHub ? "the hub" : "the hub's storage"} answered ${response.status}`, wait);
      }
      throw new UploadRefusal(response.status, response.headers.get("x-error-code") ?? "", await wordsOf(response));
    };
    const isOnce = COMMIT.test(url.pathname);
    const attempt = (): Promise<Response> =>
      send().catch((error: unknown) => {
        if (!(error instanceof TypeError) || isOnce) throw error;
        const cause = error.cause instanceof Error ? error.cause.message : error.message;
        throw new TemporaryFailure(`${url.origin} cannot be reached (${cause})`);
      });
    const response = await withRetries(hub, what, attempt, isDryRun ? LOOKING : { advice: ADVICE });
    if (init.method === "PUT" && init.body instanceof Blob) onSent(init.body.size);
    return response;
  };
}

/** The hub says it as JSON, storage as XML or not at all. */
async function wordsOf(response: Response): Promise<string> {
  const header = response.headers.get("x-error-message");
  if (response.body === null) return header ?? "";
  const text = await readBody(response.body, MAX_REFUSAL).then(
    (bytes) => Buffer.from(bytes).toString("utf8"),
    () => "",
  );
  try {
    const json: unknown = parseBoundedJson(text);
    if (typeof json === "object" && json !== null && "error" in json) return String(json.error);
  } catch {
    // Not JSON: the header, if there is one.
  }
  return header ?? "";
}
