/** Listings of a hub that has no end: pages that lead to themselves, folders without number, answers of any size. */
import { expect, test } from "vitest";
import { fetchListing } from "../../../src/checkpoint/hub/repository.js";
import type { Hub } from "../../../src/checkpoint/hub/request.js";
import { HubError } from "../../../src/errors.js";

const COMMIT = "0".repeat(40);
const ENDPOINT = "https://hub.test";
const folderEntry = (path: string) => ({ type: "directory", path, size: 0, oid: COMMIT });

/** A hub whose every page is `page` and leads on to the next. */
function listing(page: (asked: number) => string | ReadableStream): { asked: () => number; failure: Promise<unknown> } {
  let asked = 0;
  const hub: Hub = {
    endpoint: ENDPOINT,
    cacheDir: "/nowhere",
    token: undefined,
    tokenPath: undefined,
    offline: false,
    signal: new AbortController().signal,
    log: () => {},
    timing: { answerMs: 5000, silenceMs: 5000, backoffMs: 1, attempts: 1 },
    fetch: async () => {
      asked += 1;
      const link = `<${ENDPOINT}/api/models/a/b/tree/${COMMIT}?recursive=true&cursor=${asked}>; rel="next"`;
      return new Response(page(asked), { headers: { link, "content-type": "application/json" } });
    },
  };
  const reference = { type: "model", id: "a/b", revision: COMMIT } as const;
  return { asked: () => asked, failure: fetchListing(hub, reference, COMMIT).catch((error: unknown) => error) };
}

test.each<[string, (asked: number) => string | ReadableStream, RegExp, number]>([
  ["empty pages", () => "[]", /a listing of at most 1000 pages, found more; check HF_ENDPOINT/, 1000],
  [
    "pages of folders",
    (asked) => JSON.stringify(Array.from({ length: 1000 }, (_, index) => folderEntry(`f${asked}-${index}`))),
    /a repository of at most 100000 files, found more/,
    201,
  ],
  [
    "a page without end",
    () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1_000_000).fill(0x20)) }),
    /expected an answer of at most 50000000 bytes, found an answer of more than 50000000 bytes/,
    1,
  ],
  ["a page nested without end", () => "[".repeat(100_000), /expected JSON from the hub, found something else/, 1],
])("%s are given up", async (_, page, message, most) => {
  const { asked, failure } = listing(page);
  const error = await failure;
  expect(error).toBeInstanceOf(HubError);
  expect(String(error)).toMatch(message);
  expect(String(error)).toContain("a/b@0000");
  expect(asked()).toBeLessThanOrEqual(most);
});
