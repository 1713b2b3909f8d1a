/** One file over HTTP, whole or by range, and the faults that concern its bytes. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "./fake-hub.js";

/** Pieces in which a slow file comes. */
const PIECES_PER_SECOND = 20;

/** Answers HEAD and GET with the content of `path`. */
export async function sendContent(
  path: string,
  etag: string,
  { method, headers }: Pick<IncomingMessage, "method" | "headers">,
  response: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  const content = damaged(await readFile(path), fault);
  const from = fault?.kind === "no-range" ? undefined : rangeStart(headers.range);
  response.setHeader("ETag", etag);
  response.setHeader("Accept-Ranges", "bytes");
  if (from !== undefined && from >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(from ?? 0);
  if (from !== undefined) response.setHeader("Content-Range", `bytes ${from}-${content.length - 1}/${content.length}`);
  response.writeHead(from === undefined ? 200 : 206, { "content-length": body.length });
  if (method === "HEAD") response.end();
  else if (fault?.kind === "cut") response.write(body.subarray(0, fault.afterBytes), () => response.destroy());
  else if (fault?.kind === "slow") await drip(body, fault.bytesPerSecond, response);
  else response.end(body);
}

function damaged(content: Buffer, fault: Fault | undefined): Buffer {
  if (fault?.kind === "more-bytes") return Buffer.concat([content, Buffer.from("x")]);
  if (fault?.kind !== "wrong-bytes" || content.length === 0) return content;
  const middle = content.length >> 1;
  content[middle] = 255 - (content[middle] ?? 0);
  return content;
}

/** `bytes=100-` or `bytes=0-99`; the end is not needed by any client that is served here but 0-0. */
function rangeStart(range: string | undefined): number | undefined {
  const start = /^bytes=(\d+)-/.exec(range ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
}

async function drip(body: Buffer, bytesPerSecond: number, response: ServerResponse): Promise<void> {
  const piece = Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND));
  for (let at = 0; at < body.length && !response.destroyed; at += piece) {
    response.write(body.subarray(at, at + piece));
    await sleep(1000 / PIECES_PER_SECOND);
  }
  response.end();
}
