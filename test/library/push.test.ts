/**
 * A saved model on the hub: the whole protocol against a hub on loopback, what is sent and what is not, a push that goes
 * on, and what the hub may refuse.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HubSettings } from "../../src/checkpoint/hub/settings.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { saveCheckpoint } from "../../src/checkpoint/save-checkpoint.js";
import { type PushOptions, push } from "../../src/library/push.js";
import { type FakeHub, startFakeHub } from "../fake-hub/fake-hub.js";
import { temporaryFolder } from "../support/cli.js";
import { runInProcess } from "../support/in-process-cli.js";
import { randomArray } from "../support/random.js";

const TOKEN = "hf_right00000000000000";
const FILES = ["README.md", "config.json", "heads/t.safetensors", "model.safetensors"];

let root = "";
let model = "";
let served = "";
let hub: FakeHub;
beforeAll(async () => {
  root = await temporaryFolder();
});
let count = 0;
beforeEach(async () => {
  count += 1;
  model = join(root, `run-${count}`, "model");
  served = join(root, `served-${count}`);
  await mkdir(join(served, "models"), { recursive: true });
  await writeModel(model, 1);
  hub = await startFakeHub(served, { partBytes: 1000 });
  hub.writers.set("me", TOKEN);
  hub.writers.set("others", "hf_theirs0000000000000");
});
afterEach(() => hub.close());

async function writeModel(folder: string, seed: number): Promise<void> {
  const data = randomArray(600, seed);
  await saveCheckpoint(folder, {
    ...{ config: { model_type: "x" }, readme: "# A merge\n" },
    ...{ specs: [{ name: "w", shape: [600], dtype: "F32" }], data: () => data },
    beside: (place) =>
      writeSafetensors(join(place, "heads", "t.safetensors"), [
        { name: "weight", dtype: "F32", shape: [6], data: randomArray(6, 1) },
      ]),
  });
}

const settings = (): Partial<HubSettings> => ({
  ...{ endpoint: hub.url, token: TOKEN, tokenPath: undefined, offline: false, cacheDir: join(root, "cache") },
});
const fast = { answerMs: 5000, silenceMs: 5000, backoffMs: 1, attempts: 3 };
const pushed = (name: string, options: PushOptions = {}, from = model) =>
  push(from, name, { hub: { ...settings(), timing: fast } as Partial<HubSettings>, ...options });
const inRepository = (id: string) => join(served, "models", id);
const sha = async (path: string) =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
const posts = () =>
  hub.requests
    .filter(({ method }) => method !== "GET")
    .map(({ method, url }) => `${method} ${url.replace(/\/[0-9a-f]{64}.*/, "/...")}`);

describe("a push", () => {
  it("makes the repository, sends each file once by the protocol, and is seen by the downloads", async () => {
    const seen: number[] = [];
    const onEvent: PushOptions["onEvent"] = (event) => {
      if (event.type === "upload") seen.push(event.doneBytes / event.totalBytes);
    };
    const result = await pushed("me/merge", { message: "First", onEvent });
    expect(result).toMatchObject({
      repository: "me/merge",
      branch: "main",
      url: `${hub.url}/me/merge`,
      isNew: true,
      unchanged: [],
      removed: [],
    });
    expect(result.sent.map(({ name }) => name)).toEqual(FILES);
    for (const name of FILES)
      expect(await sha(join(inRepository("me/merge"), name))).toBe(await sha(join(model, name)));
    expect((await readdir(inRepository("me/merge"))).toSorted()).toEqual([
      ".gitattributes",
      "README.md",
      "config.json",
      "heads",
      "model.safetensors",
    ]);
    // The weights of some 2,500 bytes in three parts, the head whole.
    expect(posts()).toEqual(
      [
        ...[
          "POST /api/repos/create",
          "POST /api/models/me/merge/preupload/main",
          "POST /me/merge.git/info/lfs/objects/batch",
        ],
        ...Array.from({ length: 4 }, () => "PUT /upload/..."),
        ...["POST /me/merge.git/info/lfs/objects/complete", "POST /api/models/me/merge/commit/main"],
      ].toSorted(byTheirOrder(posts())),
    );
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    // Storage sees no token, the hub sees it always.
    for (const { server, authorization } of hub.requests)
      expect(authorization).toBe(server === "hub" ? `Bearer ${TOKEN}` : undefined);
  });

  it("sends nothing that is there, and removes weights that would be read instead of the new ones", async () => {
    const first = await pushed("me/merge");
    const again = await pushed("me/merge");
    expect(again).toMatchObject({ commit: first.commit, isNew: false, sent: [], removed: [] });
    expect(again.unchanged).toHaveLength(4);
    const before = posts().length;
    expect(posts().filter((one) => one.includes("/commit/"))).toHaveLength(1);
    await rm(model, { recursive: true });
    await writeModel(model, 2);
    await writeFile(join(inRepository("me/merge"), "model-00001-of-00002.safetensors"), "former");
    await writeFile(join(inRepository("me/merge"), "notes.md"), "mine");
    const changed = await pushed("me/merge");
    expect(changed.sent.map(({ name }) => name)).toEqual(["model.safetensors"]);
    expect(changed.removed).toEqual(["model-00001-of-00002.safetensors"]);
    expect(
      posts()
        .slice(before)
        .filter((one) => one.startsWith("PUT")),
    ).toHaveLength(3);
    expect((await readdir(inRepository("me/merge"))).toSorted()).toEqual([
      ".gitattributes",
      "README.md",
      "config.json",
      "heads",
      "model.safetensors",
      "notes.md",
    ]);
  });

  it("goes on after one that was cut, without what had arrived", async () => {
    hub.faults.push({ on: /\/commit\/main/, kind: "status", status: 500, times: 3 });
    await expect(pushed("me/merge")).rejects.toThrow(
      /me\/merge: the hub answered 500 \(3 times in a row\)\. Try again later: the same command sends only what is missing/,
    );
    const before = posts().length;
    const { sent } = await pushed("me/merge");
    expect(sent).toHaveLength(4);
    expect(
      posts()
        .slice(before)
        .filter((one) => one.startsWith("PUT")),
    ).toEqual([]);
    expect(await sha(join(inRepository("me/merge"), "model.safetensors"))).toBe(
      await sha(join(model, "model.safetensors")),
    );
  });

  it("tries again what may pass, in parts too", async () => {
    hub.faults.push({ on: /\/upload\//, kind: "status", status: 503 });
    hub.faults.push({ on: /preupload/, kind: "status", status: 429, headers: { "retry-after": "0" } });
    await pushed("me/merge");
    expect(await sha(join(inRepository("me/merge"), "model.safetensors"))).toBe(
      await sha(join(model, "model.safetensors")),
    );
  });

  it("goes to a branch, which is made, and to private repositories", async () => {
    const { url } = await pushed("me/merge@trial", { isPrivate: true });
    expect(url).toBe(`${hub.url}/me/merge/tree/trial`);
    expect(hub.access.get("models/me/merge")).toMatchObject({ kind: "private" });
    expect(await readdir(inRepository("me/merge"))).toEqual([".gitattributes"]);
    expect(await readdir(inRepository("me/merge@trial"))).toContain("model.safetensors");
    hub.access.delete("models/me/merge");
    await expect(pushed("me/merge", { isPrivate: true })).rejects.toThrow(
      /expected a new or private repository, as --private asks, found a public one/,
    );
  });

  it("says within two tries on a dry run that no hub can be reached", async () => {
    await hub.close();
    const lines: string[] = [];
    await expect(pushed("me/merge", { dryRun: true, log: (line) => lines.push(line) })).rejects.toThrow(
      /cannot be reached .*\(2 times in a row\)\. Check the network: .*nothing was sent$/,
    );
    hub = await startFakeHub(served);
  });

  it("says on a dry run what it would send, without a token", async () => {
    const env = { HF_ENDPOINT: hub.url };
    const { code, stdout } = await runInProcess(join(root, `run-${count}`), "push model me/merge --dry-run", env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^file .*\n-+.*\nREADME\.md +10 B +to send\n/);
    expect(stdout).toMatch(/all to send +2\.\d+ kB +me\/merge \(new\)\n$/);
    expect(posts()).toEqual([]);
    const real = await runInProcess(join(root, `run-${count}`), "push . me/merge", { ...env, HF_TOKEN: TOKEN });
    expect([real.code, real.stdout]).toEqual([0, `${hub.url}/me/merge\n`]);
    expect(real.stderr).toMatch(/sent 4 files, 2\.\d+ kB; commit [0-9a-f]{10}\n$/);
    expect(real.stderr + real.stdout).not.toContain(TOKEN);
  });
});

/** The hub may be asked for parts of two files at once: what is compared is what was asked, in the order that it had. */
function byTheirOrder(order: readonly string[]) {
  return (a: string, b: string): number => order.indexOf(a) - order.indexOf(b);
}

describe("what is sent", () => {
  it("are our files and what people add to a model, and no logs, states or keys", async () => {
    for (const name of ["LICENSE", "optimizer.pt", "metrics.jsonl", "hub_token.txt", ".env", "id_rsa"])
      await writeFile(join(model, name), "x");
    await mkdir(join(model, "checkpoint-10"));
    await writeFile(join(model, "checkpoint-10", "model.safetensors"), "x");
    const said: string[] = [];
    const { sent } = await pushed("me/merge", { dryRun: true, log: (line) => said.push(line) });
    expect(sent.map(({ name }) => name)).toEqual(["LICENSE", ...FILES]);
    expect(said).toEqual([
      "notice: not part of the model, and not sent: checkpoint-10/model.safetensors, hub_token.txt, id_rsa, metrics.jsonl, optimizer.pt",
    ]);
    // The same folder without its manifest: by names.
    await rm(join(model, ".adamerge-files.json"));
    await writeFile(join(model, "tokenizer.json"), "{}");
    const byNames = await pushed("me/merge", { dryRun: true });
    expect(byNames.sent.map(({ name }) => name)).toEqual([
      "LICENSE",
      ...FILES.slice(0, 3),
      "metrics.jsonl",
      "model.safetensors",
      "tokenizer.json",
    ]);
  });

  it("is no card with a credential or a place of this machine", async () => {
    const card = join(model, "README.md");
    await writeFile(card, "Made with hf_abcdefghijklmnopqrstuvwx.\n");
    await expect(pushed("me/merge")).rejects.toThrow(/README\.md: expected no credentials, found what looks like one/);
    await writeFile(card, `Made of ${join(root, `run-${count}`)}/base.\n`);
    await expect(pushed("me/merge")).rejects.toThrow(
      /README\.md: expected no places of this machine, found .*; say it otherwise/,
    );
    expect(hub.requests).toEqual([]);
  });
});

describe("refused in one line", () => {
  const cases: readonly (readonly [what: string, name: string, options: () => PushOptions, message: RegExp])[] = [
    [
      "a token that is none of the hub's",
      "me/merge",
      () => ({ token: "hf_wrong" }),
      /me\/merge: the hub does not accept the token .*settings\/tokens$/,
    ],
    [
      "another's namespace",
      "others/merge",
      () => ({}),
      /others\/merge: the token \(of HF_TOKEN or --token\) may not write there \(403: You don't have the rights.*its account must be others or a member/,
    ],
    [
      "no token",
      "me/merge",
      () => ({ hub: { ...settings(), token: undefined } }),
      /me\/merge: expected an access token with write access, found none; set HF_TOKEN/,
    ],
    [
      "a token of another form",
      "me/merge",
      () => ({ token: "secret word" }),
      /^token: expected an access token of the hub \(hf_\.\.\.\), found another text$/,
    ],
    [
      "no network",
      "me/merge",
      () => ({ hub: { ...settings(), offline: true } }),
      /expected a hub to push to, found that only the cache is used/,
    ],
    ["a name that is none", "merge", () => ({}), /^merge: expected org\/name on the hub/],
    ["a commit as a branch", `me/merge@${"a".repeat(40)}`, () => ({}), /expected the name of a branch, found a{40}/],
    ["two branches", "me/merge@a", () => ({ revision: "b" }), /expected the branch once/],
  ];
  it.each(cases)("%s", async (_, name, options, message) => {
    const error = await pushed(name, options()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: expect.stringMatching(/^(?:Hub|Config)Error$/),
      message: expect.stringMatching(message),
    });
    expect(String(error)).not.toMatch(/hf_(?:right|wrong)|secret word/);
  });

  it("a folder that is no model, and a branch that moved meanwhile", async () => {
    await expect(pushed("me/merge", {}, join(root, "nowhere"))).rejects.toThrow(
      /expected the folder of a merged model .*nothing there/,
    );
    await mkdir(join(root, `empty-${count}`));
    await expect(pushed("me/merge", {}, join(root, `empty-${count}`))).rejects.toThrow(/model\.safetensors/);
    await pushed("me/merge");
    await cp(model, `${model}-other`, { recursive: true });
    await writeFile(join(model, "README.md"), "# Changed\n");
    hub.faults.push({ on: /\/commit\/main/, kind: "status", status: 412 });
    await expect(pushed("me/merge")).rejects.toThrow(/somebody changed it meanwhile; push again/);
    hub.faults.push({ on: /\/commit\/main/, kind: "answer", body: "<html>" });
    await expect(pushed("me/merge")).rejects.toThrow(/me\/merge: .* does not answer as a hub does \(Unexpected token/);
  });

  it("an interruption, as itself", async () => {
    const abort = new AbortController();
    hub.faults.push({ on: /preupload/, kind: "silence" });
    const work = pushed("me/merge", { signal: abort.signal });
    setTimeout(() => abort.abort(), 300);
    await expect(work).rejects.toThrow(/abort/i);
  });
});
