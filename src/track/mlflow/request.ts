/**
 * One request to an MLflow server: repeated where the failure may pass (network, 429, 5xx), never where it cannot (400, 401, 404); a redirect to
 * another server is not followed. Credentials never appear in messages. What is asked is client.ts and registry.ts.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { z } from "zod";
import { TrackerError } from "../../errors.js";
import { BodyBoundError, readBody } from "../../runtime/bounded-body.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { shownAddress, splitAddress, withoutSecrets } from "../../runtime/credentials.js";
import { printable } from "../../runtime/printable.js";

export interface MlflowOptions {
  /** http(s)://host[:port][/prefix]. */
  readonly uri: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Attempts per request, the first included. */
  readonly attempts?: number;
  /** The directory below which the server may have artifacts put on this machine; undefined: nowhere. */
  readonly artifactRoot?: string | undefined;
}

/** A file of this machine, sent in pieces. */
export interface LocalFile {
  readonly path: string;
  readonly bytes: number;
}

const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 20_000;
const TIMEOUT_MS = 30_000;
/** Answers have some hundred bytes; a list of runs with thousands of parameters each some megabytes. */
const MAX_ANSWER_BYTES = 16_000_000;
/** Slower than this an upload counts as stuck. */
const LEAST_BYTES_PER_MS = 500;
/** A proxy adds a slash or a prefix; more is a circle. */
const MAX_REDIRECTS = 3;
const errorSchema = z.object({ error_code: z.string(), message: z.string().optional() });

/** What a request carries; opened anew for every attempt. */
interface Payload {
  readonly type: "application/json" | "application/octet-stream";
  readonly bytes: number;
  open(): string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

function parseUri(uri: string): string {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw new TrackerError(
      `tracking server: expected http://host:port or https://..., found ${shownAddress(uri)}. Start one with \`mlflow server\`, or leave MLFLOW_TRACKING_URI unset: the run folder is complete without it`,
    );
  return uri.replace(/\/+$/, "");
}

/** A server whose address has been looked at, and how it is asked. */
export interface Connection {
  readonly options: MlflowOptions;
  /** The address without a slash behind it. */
  readonly base: string;
  /** A status in `accepted` is returned, any other failure is thrown. Paths are those below /api/2.0/mlflow/. */
  ask(
    method: "GET" | "POST" | "PATCH",
    path: string,
    body?: Readonly<Record<string, unknown>>,
    accepted?: readonly number[],
  ): Promise<Reply>;
}

/** Throws TrackerError for a URI that is not http(s). */
export function connect(given: MlflowOptions): Connection {
  // A user in the address goes before the others, as in MLflow's client.
  const { url, username, password } = splitAddress(given.uri);
  const options = { ...given, uri: url, ...(username === undefined ? {} : { username, password, token: undefined }) };
  const base = parseUri(url);
  return {
    options,
    base,
    ask: (method, path, body, accepted) =>
      call(options, method, `${base}/api/2.0/mlflow/${path}`, body === undefined ? undefined : json(body), accepted),
  };
}

/** Statuses of servers that do not know what they are asked for. */
export const UNKNOWN_CALL: readonly number[] = [404, 405, 501];
/** Answers about something that the call names, from servers that know the call. */
const ABOUT_ITS_SUBJECT = new Set(["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"]);

/** Whether the server is too old for the call, or keeps its data where the call does not work. Of replies with a status in UNKNOWN_CALL. */
export function isUnknownCall({ status, body }: Reply): boolean {
  if (!UNKNOWN_CALL.includes(status)) return false;
  const parsed = errorSchema.safeParse(body);
  return !parsed.success || !ABOUT_ITS_SUBJECT.has(parsed.data.error_code);
}

/** The headers of one who may ask. */
export function authorization({
  username,
  password,
  token,
}: Pick<MlflowOptions, "username" | "password" | "token">): Headers {
  const headers = new Headers();
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  else if (username !== undefined)
    headers.set("authorization", `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`);
  return headers;
}

/** One request with retries; a status in `accepted` is returned, any other error is thrown. */
export async function call(
  options: MlflowOptions,
  method: string,
  url: string,
  payload?: Payload,
  accepted: readonly number[] = [],
): Promise<Reply> {
  const attempts = options.attempts ?? ATTEMPTS;
  let problem = "";
  for (let attempt = 1; attempt <= attempts; attempt++) {
    let waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1)) * (0.5 + options.random());
    try {
      const response = await answered(options, url, () => request(options, method, payload));
      const text = await answerText(response);
      const reply = { status: response.status, body: parseJson(text) };
      if (response.ok || accepted.includes(response.status)) return reply;
      if (!isPassing(response.status)) throw refused(options, reply);
      problem = `HTTP ${response.status}`;
      const after = Number(response.headers.get("retry-after"));
      if (after > 0) waitMs = Math.min(MAX_WAIT_MS, after * 1000);
    } catch (error) {
      if (error instanceof TrackerError) throw error;
      if (error instanceof BodyBoundError)
        throw new TrackerError(`${url}: expected MLflow's answer, found ${error.message}. Is this an MLflow server?`);
      problem = failureText(error);
    }
    if (attempt < attempts) await options.sleep(waitMs);
  }
  throw new TrackerError(
    `${options.uri}: the tracking server did not answer after ${attempts} attempts (${problem}). Check that it runs and can be reached`,
  );
}

/**
 * The answer, redirects within the server followed. One that leads elsewhere is an error: neither credentials nor what is delivered go to
 * another host than the one that was named.
 */
async function answered({ uri, fetch }: MlflowOptions, first: string, open: () => RequestInit): Promise<Response> {
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { ...open(), redirect: "manual" });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
    if (next?.origin !== new URL(first).origin || redirects >= MAX_REDIRECTS)
      throw new TrackerError(
        `${uri}: the tracking server sends requests on to ${printable(next?.origin ?? location)}, which is not followed: credentials are for the server that was named. If that one is meant, set MLFLOW_TRACKING_URI to it`,
      );
    await response.body?.cancel();
    url = next.href;
  }
}

async function answerText({ body }: Response): Promise<string> {
  if (body === null) return "";
  return (await readBody(body, { mostBytes: MAX_ANSWER_BYTES, mostMs: TIMEOUT_MS })).toString("utf8");
}

function request(options: MlflowOptions, method: string, payload: Payload | undefined): RequestInit {
  const headers = authorization(options);
  const signal = AbortSignal.timeout(TIMEOUT_MS + Math.ceil((payload?.bytes ?? 0) / LEAST_BYTES_PER_MS));
  if (payload === undefined) return { method, headers, signal };
  headers.set("content-type", payload.type);
  // Without a length a stream is sent in chunks, which not every proxy in front of a server takes.
  headers.set("content-length", String(payload.bytes));
  // `duplex` is what fetch asks for with a stream, and what the DOM's types do not know yet.
  return Object.assign({ method, headers, signal, body: payload.open() }, { duplex: "half" as const });
}

function json(value: Readonly<Record<string, unknown>>): Payload {
  const text = JSON.stringify(value);
  return { type: "application/json", bytes: Buffer.byteLength(text), open: () => text };
}

export function raw(content: Uint8Array | LocalFile): Payload {
  const type = "application/octet-stream";
  if (content instanceof Uint8Array) return { type, bytes: content.length, open: () => Uint8Array.from(content) };
  const open = () => Readable.toWeb(createReadStream(content.path)) as ReadableStream<Uint8Array>;
  return { type, bytes: content.bytes, open };
}

/** Statuses that a later attempt may not meet. 500 too: MLflow answers so while its database is locked. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}

/** What to tell of a reply that is no success. */
export function refused({ uri, password, token }: MlflowOptions, { status, body }: Reply): TrackerError {
  if (status === 401 || status === 403)
    return new TrackerError(
      `${uri}: the tracking server refused the credentials (HTTP ${status}). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN`,
    );
  // A server may repeat what it was sent.
  const said = withoutSecrets(
    errorText(body),
    [password, token].flatMap((secret) => (secret ? [secret] : [])),
  );
  const hint = status === 404 ? ". Is this an MLflow server, with this path prefix?" : "";
  return new TrackerError(`${uri}: the tracking server answered HTTP ${status}: ${said}${hint}`);
}

export function errorText(body: unknown): string {
  const parsed = errorSchema.safeParse(body);
  return parsed.success
    ? `${parsed.data.error_code}: ${parsed.data.message ?? ""}`.slice(0, 300)
    : "no MLflow error in the answer";
}

/** Messages of fetch hide the cause one level down. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

export function read<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new TrackerError(`${what}: expected MLflow's answer, found something else. Is this an MLflow server?`);
}

function parseJson(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}
