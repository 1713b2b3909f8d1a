/**
 * One question to the hub over HTTP, and how often it is asked again. The token goes to the hub itself and to nobody it redirects to;
 * what may pass (429, 5xx, a cut connection, silence) is tried again, waiting longer each time or as long as Retry-After says; what
 * will not pass becomes a HubError that says what to do. Nothing of the answer's content is judged here.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HubError } from "../../errors.js";
import { shownAddress } from "../../runtime/credentials.js";
import { refusal } from "./refusal.js";
import { type HubSettings, readToken } from "./settings.js";

/** The settings, and what a download works with; tests give their own fetch, times and disk. */
export interface Hub extends HubSettings {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly timing?: Timing;
  /** Free bytes of the disk that a folder is on; the system's answer if absent. */
  readonly freeBytes?: (directory: string) => Promise<number>;
}

export interface DownloadProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly seconds: number;
}

export interface Timing {
  /** Until the headers of an answer are there. */
  readonly answerMs: number;
  /** Without a byte of a body. */
  readonly silenceMs: number;
  /** Before the second attempt; doubles with each. */
  readonly backoffMs: number;
  /** Failures in a row without a byte in between. */
  readonly attempts: number;
}

const TIMING: Timing = { answerMs: 30_000, silenceMs: 30_000, backoffMs: 1000, attempts: 6 };
/** A server that wants more patience than this is told to the person instead. */
const MAX_WAIT_MS = 5 * 60_000;
/** hub -> storage -> its nearest copy, with some to spare. */
const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Statuses of what may pass. */
export const TEMPORARY = [408, 425, 429, 500, 502, 503, 504];

/** Something that may pass. */
export class TemporaryFailure extends Error {
  override readonly name = "TemporaryFailure";
  constructor(
    message: string,
    /** How long the server asks us to wait. */
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The content as it comes; throws TemporaryFailure when it is cut off or silent. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops the rest. */
  close(): void;
}

/** What is asked and for what, for errors. */
export interface Question {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `org/name` or `org/name@revision`, and a file of it where there is one. */
  readonly what: string;
  /** The repository's page, for those who must ask for access there. */
  readonly page: string;
}

export interface RetryOptions {
  /** What to do when it is of no use; default: that of downloads. */
  readonly advice?: string | undefined;
  /** Failures in a row; default: those of `hub.timing`. */
  readonly attempts?: number | undefined;
}

/** Repeats `attempt` while it throws TemporaryFailure; it calls `progress` when it has got further than before. */
export async function withRetries<T>(
  hub: Hub,
  what: string,
  attempt: (progress: () => void) => Promise<T>,
  {
    advice = "Try again later: what has been downloaded is kept. --offline uses only the cache",
    attempts = (hub.timing ?? TIMING).attempts,
  }: RetryOptions = {},
): Promise<T> {
  const { backoffMs } = hub.timing ?? TIMING;
  let failures = 0;
  for (;;) {
    hub.signal.throwIfAborted();
    try {
      return await attempt(() => {
        failures = 0;
      });
    } catch (error) {
      hub.signal.throwIfAborted();
      if (!(error instanceof TemporaryFailure)) throw error;
      failures += 1;
      const waitMs = Math.max(error.waitMs ?? 0, backoffMs * 2 ** (failures - 1));
      if (failures >= attempts || waitMs > MAX_WAIT_MS) {
        const times = failures > 1 ? ` (${failures} times in a row)` : "";
        const wait = error.waitMs === undefined ? "" : `; it asks to wait ${Math.ceil(error.waitMs / 1000)} s`;
        throw new HubError(`${what}: ${error.message}${times}${wait}. ${advice}`, { cause: error });
      }
      hub.log(`${what}: ${error.message}; trying again in ${Math.ceil(waitMs / 1000)} s`);
      await sleep(waitMs, undefined, { signal: hub.signal });
    }
  }
}

/** Asks once, following redirects. Throws TemporaryFailure, or HubError for an answer that will stay. The body must be read or closed. */
export async function ask(hub: Hub, question: Question): Promise<Answer> {
  const { answerMs, silenceMs } = hub.timing ?? TIMING;
  const watch = watchSilence(hub.signal);
  try {
    watch.expect(answerMs, "no answer");
    const { response, isHub } = await watch.during(followRedirects(hub, question, watch.signal));
    watch.rest();
    if (response.ok || response.status === 416)
      return {
        status: response.status,
        headers: response.headers,
        body: readBody(response, watch, silenceMs),
        close: watch.stop,
      };
    watch.stop();
    // Links to storage are signed for a while; asking the hub again gives a new one.
    if (!isHub || TEMPORARY.includes(response.status))
      throw new TemporaryFailure(
        `the hub${isHub ? "" : "'s storage"} answered ${response.status}`,
        retryAfterMs(response.headers),
      );
    throw refusal(response, question, hub, await readToken(hub));
  } catch (error) {
    watch.stop();
    throw explainFailure(error, hub, question, watch.reason());
  }
}

async function followRedirects(
  hub: Hub,
  question: Question,
  signal: AbortSignal,
): Promise<{ readonly response: Response; readonly isHub: boolean }> {
  const token = await readToken(hub);
  const { origin } = new URL(hub.endpoint);
  let url = new URL(question.url);
  for (let redirects = 0; ; redirects++) {
    // Paths of the hub alone: what it redirects to is other people's storage.
    const isHub = url.origin === origin;
    const authorization = token !== undefined && isHub ? { authorization: `Bearer ${token}` } : {};
    const headers = { "accept-encoding": "identity", "user-agent": "adamerge", ...question.headers, ...authorization };
    const response = await hub.fetch(url.href, { headers, redirect: "manual", signal });
    const location = response.headers.get("location");
    if (!REDIRECTS.includes(response.status) || location === null) return { response, isHub };
    await response.body?.cancel();
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    const isSafe = next?.protocol === "https:" || (next?.protocol === "http:" && url.protocol === "http:");
    if (next === undefined || !isSafe || redirects >= MAX_REDIRECTS)
      throw new HubError(
        `${question.what}: expected at most ${MAX_REDIRECTS} redirects to https addresses, found one to ${shownAddress(location.slice(0, 100))}; check HF_ENDPOINT`,
      );
    url = next;
  }
}

/**
 * Aborts a request that stays silent. Waiting ends by itself then, with what is waited for or without: fetch does not always
 * notice an abort (it holds the signal weakly).
 */
function watchSilence(outer: AbortSignal) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let reason: string | undefined;
  let fail: (error: Error) => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    fail = reject;
  });
  stopped.catch(() => undefined);
  const stop = () => {
    clearTimeout(timer);
    outer.removeEventListener("abort", stop);
    controller.abort();
    fail(new Error("stopped"));
  };
  outer.addEventListener("abort", stop);
  if (outer.aborted) stop();
  return {
    signal: controller.signal,
    stop,
    rest: () => clearTimeout(timer),
    during: <T>(work: Promise<T>): Promise<T> => Promise.race([work, stopped]),
    /** Why it was aborted, if it was for silence. */
    reason: () => reason,
    expect: (ms: number, what: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reason = `${what} for ${ms / 1000} s`;
        stop();
      }, ms);
    },
  };
}

async function* readBody(
  response: Response,
  watch: ReturnType<typeof watchSilence>,
  silenceMs: number,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined) {
      watch.expect(silenceMs, "no data");
      const { done, value } = await watch.during(reader.read());
      watch.rest();
      if (done) return;
      yield value;
    }
  } catch {
    throw new TemporaryFailure(watch.reason() ?? "the connection was cut");
  } finally {
    watch.stop();
    reader?.cancel().catch(() => undefined);
  }
}

/** A network error in words. A name that does not exist and a certificate that is not trusted will not pass by waiting. */
function explainFailure(error: unknown, hub: Hub, { what }: Question, silence: string | undefined): unknown {
  if (hub.signal.aborted) return hub.signal.reason;
  if (silence !== undefined) return new TemporaryFailure(silence);
  if (!(error instanceof TypeError)) return error;
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  if (code === "ENOTFOUND" || /CERT|SELF_SIGNED|ERR_TLS/.test(code))
    return new HubError(
      `${what}: ${hub.endpoint} cannot be reached (${cause.message}). Check the network and HF_ENDPOINT; --offline uses only the cache`,
      { cause: error },
    );
  return new TemporaryFailure(`${hub.endpoint} cannot be reached (${cause.message || code || error.message})`);
}

/** Seconds or a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
