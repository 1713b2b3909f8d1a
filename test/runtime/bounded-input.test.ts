/** Bounds of what strangers send: nesting of JSON, bodies of answers, and work that does not end in a thread. */

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { TrackerError } from "../../src/errors.js";
import { BodyBoundError, readBody } from "../../src/runtime/bounded-body.js";
import { MAX_JSON_DEPTH, parseBoundedJson } from "../../src/runtime/bounded-json.js";
import { createMlflowClient } from "../../src/track/mlflow/client.js";

describe("JSON", () => {
  test("is what JSON.parse gives, brackets in strings not counted", () => {
    const value = { a: [1, '[[[{{{\\"[', { b: null }], "{": "\\" };
    expect(parseBoundedJson(JSON.stringify(value))).toEqual(value);
    expect(parseBoundedJson(JSON.stringify("[".repeat(100_000)))).toBe("[".repeat(100_000));
    const deepest = "[".repeat(MAX_JSON_DEPTH) + "]".repeat(MAX_JSON_DEPTH);
    expect(JSON.stringify(parseBoundedJson(deepest))).toBe(deepest);
    expect(() => parseBoundedJson('{"a": "x')).toThrow(SyntaxError);
  });

  test.each(["[", '{"a":', '[{"a":'])("nested a hundred thousand times by %j is refused", (part) => {
    expect(() => parseBoundedJson(part.repeat(100_000))).toThrow(
      new SyntaxError(`values inside each other more than ${MAX_JSON_DEPTH} levels deep`),
    );
  });
});

describe("the body of an answer", () => {
  async function* pieces(count: number, waitMs = 0) {
    for (let piece = 0; piece < count; piece++) {
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      yield new Uint8Array(1000);
    }
  }

  test("is whole within its bounds", async () => {
    expect(await readBody(pieces(10), { mostBytes: 10_000, mostMs: 1000 })).toHaveLength(10_000);
  });

  test("that is larger, or comes byte by byte, is given up", async () => {
    const large = readBody(pieces(Number.POSITIVE_INFINITY), { mostBytes: 10_000, mostMs: 10_000 });
    await expect(large).rejects.toThrow(new BodyBoundError("an answer of more than 10000 bytes"));
    const slow = readBody(pieces(Number.POSITIVE_INFINITY, 10), { mostBytes: 1e9, mostMs: 100 });
    await expect(slow).rejects.toThrow(new BodyBoundError("an answer that is not complete after 0.1 s"));
  });
});

describe("a tracking server", () => {
  let close = () => {};
  afterEach(() => close());

  async function clientOf(listener: RequestListener) {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    close = () => {
      server.closeAllConnections();
      server.close();
    };
    const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return createMlflowClient({ uri, fetch, sleep: async () => {}, random: () => 0 });
  }

  test.each([
    ["endless", (write: (piece: Uint8Array) => void) => setInterval(() => write(Buffer.alloc(4_000_000, " ")), 1), {}],
    [
      "compressed a thousandfold",
      (write: (piece: Uint8Array) => void) => write(gzipSync(Buffer.alloc(100_000_000))),
      { "content-encoding": "gzip" },
    ],
  ] as const)("whose answer is %s is refused, not asked again", async (_, send, headers) => {
    let asked = 0;
    let timer: unknown;
    const client = await clientOf((_request, response) => {
      asked += 1;
      response.writeHead(200, headers);
      timer = send((piece) => response.write(piece));
    });
    const failure = await client.experimentId("x").catch((error: unknown) => error);
    if (timer instanceof Object) clearInterval(timer as NodeJS.Timeout);
    expect(failure).toBeInstanceOf(TrackerError);
    expect(String(failure)).toContain("expected MLflow's answer, found an answer of more than 16000000 bytes");
    expect(asked).toBe(1);
  });

  test("whose answer is nested a hundred thousand times is none", async () => {
    const client = await clientOf((_request, response) => response.end("[".repeat(100_000) + "]".repeat(100_000)));
    await expect(client.experimentId("x")).rejects.toThrow("expected MLflow's answer, found something else");
  });
});
