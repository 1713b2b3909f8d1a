import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { modelFiles } from "../../../src/checkpoint/hub/model-files.js";
import { type HubReference, parseReference } from "../../../src/checkpoint/hub/reference.js";
import type { Hub } from "../../../src/checkpoint/hub/request.js";
import { fetchSnapshots, isComplete, planSnapshot, type SnapshotPlan } from "../../../src/checkpoint/hub/snapshot.js";
import { HubError } from "../../../src/errors.js";
import type { Fault } from "../../fake-hub/fake-hub.js";
import { type HubFixture, hubFixture, noise, writeServed } from "./hub-fixture.js";

const WEIGHTS = noise(300_000, 1);
const sha256 = createHash("sha256").update(WEIGHTS).digest("hex");
const repository = {
  "models/org/tower/config.json": '{"a": 1}\n',
  "models/org/tower/model.safetensors": WEIGHTS,
  "models/org/tower/pytorch_model.bin": noise(1000, 2),
  "models/org/tower/README.md": "# A tower\n",
};

const fixtures: HubFixture[] = [];
const open = async (...args: Parameters<typeof hubFixture>) => {
  const fixture = await hubFixture(...args);
  fixtures.push(fixture);
  return fixture;
};
afterEach(async () => {
  for (const { server } of fixtures.splice(0)) await server.close();
});

const model = (text: string): HubReference => {
  const reference = parseReference(text, "model");
  if (reference === undefined) throw new Error(text);
  return reference;
};
const choose = modelFiles({ preprocessor: false, tokenizer: false, companions: false });

async function get(hub: Hub, text = "org/tower", update = false): Promise<SnapshotPlan> {
  const plan = await planSnapshot(hub, { reference: model(text), choose }, { update });
  if (!hub.offline) await fetchSnapshots(hub, [plan]);
  return plan;
}
const contentOf = ({ directory }: SnapshotPlan, name: string) => readFileSync(join(directory ?? "", name));
const downloads = ({ server }: HubFixture) => server.requests.filter(({ url }) => !url.startsWith("/api/"));
const blobs = ({ cacheDir }: HubFixture) => readdirSync(join(cacheDir, "models--org--tower", "blobs")).toSorted();

describe("a download", () => {
  it("fills the cache as Python's tools lay it out, with what is needed alone", async () => {
    const fixture = await open(repository);
    const plan = await get(fixture.client());
    expect(contentOf(plan, "model.safetensors")).toEqual(WEIGHTS);
    expect(contentOf(plan, "config.json").toString()).toBe('{"a": 1}\n');
    const folder = join(fixture.cacheDir, "models--org--tower");
    expect(plan.directory).toBe(join(folder, "snapshots", plan.commit ?? ""));
    expect(readdirSync(plan.directory ?? "").toSorted()).toEqual(["config.json", "model.safetensors"]);
    expect(readlinkSync(join(plan.directory ?? "", "model.safetensors"))).toBe(join("..", "..", "blobs", sha256));
    expect(readFileSync(join(folder, "refs", "main"), "utf8")).toBe(plan.commit);
    // git hash-object of the config.
    expect(blobs(fixture)).toEqual(["cb5b2f69babc53f9145b45ad20b9a075d48717ef", sha256].toSorted());
  });

  it("costs no request the second time, and one for a branch that is updated", async () => {
    const fixture = await open(repository);
    const first = await get(fixture.client());
    fixture.server.requests.length = 0;
    expect(isComplete(await get(fixture.client()))).toBe(true);
    expect(fixture.server.requests).toEqual([]);
    await get(fixture.client(), "org/tower", true);
    expect(fixture.server.requests.map(({ url }) => url.split("?")[0])).toEqual([
      "/api/models/org/tower/revision/main",
    ]);
    writeServed(fixture.root, "models/org/tower/config.json", '{"a": 2}\n');
    expect((await get(fixture.client())).commit).toBe(first.commit);
    fixture.server.requests.length = 0;
    const moved = await get(fixture.client(), "org/tower", true);
    expect(moved.commit).not.toBe(first.commit);
    expect(contentOf(moved, "config.json").toString()).toBe('{"a": 2}\n');
    expect(downloads(fixture)).toHaveLength(1);
  });

  it("reads a listing of several pages, revisions and shards by their index", async () => {
    const weights: Record<string, string> = {
      a: "model-00001-of-00002.safetensors",
      b: "model-00002-of-00002.safetensors",
    };
    const fixture = await open(
      {
        "models/org/big/config.json": "{}",
        "models/org/big@refs+pr+1/config.json": "{}",
        "models/org/big@refs+pr+1/model.safetensors.index.json": JSON.stringify({ weight_map: weights }),
        "models/org/big@refs+pr+1/model-00001-of-00002.safetensors": noise(500, 3),
        "models/org/big@refs+pr+1/model-00002-of-00002.safetensors": noise(600, 4),
        "models/org/big@refs+pr+1/model-00003-of-00003.safetensors": noise(600, 5),
        "models/org/big@refs+pr+1/tf_model.h5": noise(600, 6),
      },
      { pageSize: 2 },
    );
    const plan = await get(fixture.client(), "org/big@refs/pr/1");
    expect(plan.files.map(({ name }) => name)).toEqual([
      "config.json",
      "model.safetensors.index.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ]);
    expect(contentOf(plan, "model-00002-of-00002.safetensors")).toEqual(noise(600, 4));
    expect(existsSync(join(fixture.cacheDir, "models--org--big", "refs", "refs", "pr", "1"))).toBe(true);
  });

  it("takes PyTorch's weights only where there are no safetensors", async () => {
    const fixture = await open({
      "models/org/old/config.json": "{}",
      "models/org/old/pytorch_model.bin": noise(50, 7),
    });
    const plan = await get(fixture.client(), "org/old");
    expect(plan.files.map(({ name }) => name)).toEqual(["config.json", "pytorch_model.bin"]);
    writeServed(fixture.root, "models/org/none/config.json", "{}");
    await expect(get(fixture.client(), "org/none")).rejects.toThrow(
      "org/none: expected model.safetensors, model.safetensors.index.json or pytorch_model.bin in the repository, found none",
    );
  });

  it("takes an adapter's files, which has no config of a model, but never as a base", async () => {
    const fixture = await open({
      "models/org/lora/adapter_config.json": "{}",
      "models/org/lora/adapter_model.safetensors": noise(50, 7),
      "models/org/lora/adapter_model.bin": noise(50, 8),
      "models/org/lora/README.md": "adapter",
      "models/org/linear/adapter_config.json": "{}",
      "models/org/linear/linearized_adapter_model.safetensors": noise(50, 9),
      "models/org/half/adapter_config.json": "{}",
    });
    const names = async (name: string) => (await get(fixture.client(), name)).files.map((file) => file.name);
    expect(await names("org/lora")).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(await names("org/linear")).toEqual(["adapter_config.json", "linearized_adapter_model.safetensors"]);
    await expect(get(fixture.client(), "org/half")).rejects.toThrow(
      "org/half: expected adapter_model.safetensors or adapter_model.bin or linearized_adapter_model.safetensors in the repository",
    );
    const asBase = await modelFiles({ preprocessor: true, tokenizer: false, companions: false })(
      ["adapter_config.json", "adapter_model.safetensors"],
      async () => Buffer.from(""),
    );
    expect(asBase.absent).toContain("preprocessor_config.json");
  });

  it("counts bytes up to the total, also over cuts", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /model\.safetensors/, kind: "cut", afterBytes: 100_000 });
    const seen: { doneBytes: number; totalBytes: number }[] = [];
    await get(fixture.client({ onProgress: (progress) => seen.push(progress) }));
    const total = WEIGHTS.length + 9;
    expect(
      seen.every(({ totalBytes, doneBytes }) => totalBytes === total && doneBytes >= 0 && doneBytes <= total),
    ).toBe(true);
    expect(seen.at(-1)?.doneBytes).toBe(total);
  });
});

describe("a connection that fails", () => {
  it("is gone on with where it was cut", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /model\.safetensors/, kind: "cut", afterBytes: 100_000 });
    const plan = await get(fixture.client());
    expect(contentOf(plan, "model.safetensors")).toEqual(WEIGHTS);
    const ranges = fixture.server.requests.filter(({ server }) => server === "storage").map(({ range }) => range);
    expect(ranges).toHaveLength(2);
    expect(ranges[0]).toBeUndefined();
    expect(Number(/^bytes=(\d+)-$/.exec(ranges[1] ?? "")?.[1])).toBeGreaterThan(0);
    expect(fixture.lines.join()).toMatch(/org\/tower: model\.safetensors: .*trying again/);
  });

  it("is gone on with by the next process", async () => {
    const fixture = await open(repository);
    const part = 123_456;
    const incomplete = join(fixture.cacheDir, "models--org--tower", "blobs", `${sha256}.adamerge.incomplete`);
    writeServed(fixture.cacheDir, `models--org--tower/blobs/${sha256}.adamerge.incomplete`, WEIGHTS.subarray(0, part));
    const plan = await get(fixture.client());
    expect(contentOf(plan, "model.safetensors")).toEqual(WEIGHTS);
    expect(fixture.server.requests.find(({ server }) => server === "storage")?.range).toBe(`bytes=${part}-`);
    expect(existsSync(incomplete)).toBe(false);
  });

  it("starts over where the server does not know ranges", async () => {
    const fixture = await open(repository);
    const on = /model\.safetensors/;
    fixture.server.faults.push({ on, kind: "cut", afterBytes: 100_000 }, { on, kind: "no-range" });
    expect(contentOf(await get(fixture.client()), "model.safetensors")).toEqual(WEIGHTS);
  });

  const passing: [string, Fault][] = [
    ["429", { on: /./, kind: "status", status: 429, headers: { "retry-after": "0" } }],
    ["503", { on: /./, kind: "status", status: 503, times: 3 }],
    ["storage's expired links", { on: /model\.safetensors/, server: "storage", kind: "status", status: 403 }],
    ["silence", { on: /model\.safetensors/, kind: "silence" }],
  ];
  it.each(passing)("passes: %s", async (_, fault) => {
    const fixture = await open(repository);
    fixture.server.faults.push(fault);
    const timing = { answerMs: 300, silenceMs: 300, backoffMs: 1, attempts: 4 };
    expect(contentOf(await get(fixture.client({ timing })), "model.safetensors")).toEqual(WEIGHTS);
    expect(fixture.lines.join("\n")).toContain("trying again");
  });

  it("waits as long as Retry-After says, and not for longer than a person would", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /revision/, kind: "status", status: 429, headers: { "retry-after": "1" } });
    const started = performance.now();
    await get(fixture.client());
    expect(performance.now() - started).toBeGreaterThan(990);
    fixture.server.faults.push({ on: /revision/, kind: "status", status: 429, headers: { "retry-after": "3600" } });
    await expect(get(fixture.client(), "org/tower", true)).rejects.toThrow(
      "org/tower: the hub answered 429; it asks to wait 3600 s. Try again later",
    );
  });

  it("is told after several attempts", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /./, kind: "status", status: 502, times: 100 });
    await expect(get(fixture.client())).rejects.toThrow("org/tower: the hub answered 502 (4 times in a row)");
    await fixture.server.close();
    await expect(get(fixture.client())).rejects.toThrow(/cannot be reached.*--offline uses only the cache/);
  });
});

describe("content that is wrong", () => {
  const untouched = (fixture: HubFixture) => {
    expect(blobs(fixture).filter((name) => name.startsWith(sha256))).toEqual([]);
    expect(existsSync(join(fixture.cacheDir, "models--org--tower", "snapshots"))).toBe(false);
    expect(existsSync(join(fixture.cacheDir, "models--org--tower", "refs"))).toBe(false);
  };

  it("is refused and not kept", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /model\.safetensors/, kind: "wrong-bytes" });
    const error = await get(fixture.client()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(HubError);
    expect(String(error)).toContain(
      "org/tower: model.safetensors: its content is not what the hub lists (the hash differs)",
    );
    untouched(fixture);
    expect(contentOf(await get(fixture.client()), "model.safetensors")).toEqual(WEIGHTS);
  });

  it("is refused for small files by git's hash, and when there is more of it", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /config\.json/, kind: "wrong-bytes" });
    await expect(get(fixture.client())).rejects.toThrow(
      "org/tower: config.json: its content is not what the hub lists",
    );
    expect(existsSync(join(fixture.cacheDir, "models--org--tower", "snapshots"))).toBe(false);
    const other = await open(repository);
    other.server.faults.push({ on: /model\.safetensors/, kind: "more-bytes" });
    await expect(get(other.client())).rejects.toThrow("expected 300000 bytes, found more; nothing of it is kept");
    untouched(other);
  });

  it("of an earlier start is dropped, and the file comes from the beginning", async () => {
    const fixture = await open(repository);
    writeServed(fixture.cacheDir, `models--org--tower/blobs/${sha256}.adamerge.incomplete`, noise(1000, 99));
    expect(contentOf(await get(fixture.client()), "model.safetensors")).toEqual(WEIGHTS);
    const ranges = fixture.server.requests.filter(({ server }) => server === "storage").map(({ range }) => range);
    expect(ranges).toEqual(["bytes=1000-", undefined]);
  });

  it("is not written through a link that lies in the way", async () => {
    const fixture = await open(repository);
    const victim = join(fixture.root, "victim");
    writeFileSync(victim, "mine");
    const folder = join(fixture.cacheDir, "models--org--tower", "blobs");
    mkdirSync(folder, { recursive: true });
    symlinkSync(victim, join(folder, `${sha256}.adamerge.incomplete`));
    await expect(get(fixture.client())).rejects.toThrow("ELOOP");
    expect(readFileSync(victim, "utf8")).toBe("mine");
  });

  it.each(["../evil.safetensors", "/etc/x", "a\\..\\b", "C:x", "a//b", "a/./b", "x\u0000y", `${"x".repeat(300)}`])(
    "names such as %j are refused",
    async (name) => {
      const fixture = await open(repository);
      const body = JSON.stringify([{ type: "file", path: name, size: 1, oid: "0".repeat(40) }]);
      fixture.server.faults.push({ on: /tree/, kind: "answer", body });
      await expect(get(fixture.client())).rejects.toThrow("expected names of files inside the repository, found");
      expect(downloads(fixture)).toEqual([]);
    },
  );

  it.each([
    ["HTML", /revision/, "<html>"],
    ["another object", /revision/, "{}"],
    ["null", /revision/, "null"],
    ["no list", /tree/, "{}"],
    ["other entries", /tree/, '[{"type": "file", "path": 1}]'],
    ["hashes that are paths", /tree/, '[{"type": "file", "path": "a", "size": 1, "oid": "../../../x"}]'],
  ])("an answer that is %s is not taken for the hub's", async (_, on, body) => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on, kind: "answer", body });
    await expect(get(fixture.client())).rejects.toThrow(/^org\/tower: expected .*check HF_ENDPOINT/);
  });

  it("a listing does not lead to another host", async () => {
    const fixture = await open(repository);
    const headers = { link: '<http://elsewhere.example/api>; rel="next"' };
    fixture.server.faults.push({ on: /tree/, kind: "answer", body: "[]", headers });
    await expect(get(fixture.client({ token: "hf_x" }))).rejects.toThrow("found a link to http://elsewhere.example");
  });
});

describe("repositories that may not be read", () => {
  it("is one line that says what to set", async () => {
    const fixture = await open(repository);
    const { server, client } = fixture;
    const refused = async (hub: Hub, text = "org/tower") => {
      const error = await get(hub, text).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(HubError);
      return error instanceof Error ? error.message : "";
    };
    expect(await refused(client(), "org/gone")).toBe(
      `org/gone: there is no such repository on ${server.url}, or it is private; check the name, and for a private one set HF_TOKEN`,
    );
    expect(await refused(client(), "org/tower@v9")).toBe(
      "org/tower@v9: there is no such revision; check the branch, tag or commit behind the @",
    );
    server.access.set("models/org/tower", { kind: "private", token: "hf_right" });
    expect(await refused(client())).toMatch(/or it is private; .* set HF_TOKEN$/);
    const wrong = await refused(client({ token: "hf_wrong" }));
    expect(wrong).toMatch(/or the token in HF_TOKEN may not read it; check the name and the token$/);
    expect(wrong).not.toContain("hf_wrong");
    server.access.set("models/org/tower", { kind: "gated", token: "hf_right" });
    // Of the two files that come at the same time, the first to be refused is named.
    expect((await refused(client())).replace("model.safetensors", "config.json")).toBe(
      `org/tower: config.json: access must be asked for on ${server.url}/org/tower; then set HF_TOKEN to a token of that account`,
    );
    expect(await refused(client({ token: "hf_wrong" }))).toContain(
      "the account of the token in HF_TOKEN has no access",
    );
  });

  it("come with the token, of the environment or the file, which the storage never sees", async () => {
    const fixture = await open(repository);
    fixture.server.access.set("models/org/tower", { kind: "private", token: "hf_right" });
    const tokenPath = join(fixture.root, "token");
    writeFileSync(tokenPath, "hf_right\n");
    await get(fixture.client({ tokenPath }));
    const at = (server: string) => fixture.server.requests.filter((request) => request.server === server);
    expect(at("hub").every(({ authorization }) => authorization === "Bearer hf_right")).toBe(true);
    expect(at("storage").map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});

describe("offline", () => {
  it("takes what is there and says what is not", async () => {
    const fixture = await open(repository);
    const first = await get(fixture.client());
    await fixture.server.close();
    const plan = await get(fixture.client({ offline: true }));
    expect(isComplete(plan)).toBe(true);
    expect(plan.directory).toBe(first.directory);
    const other = await get(fixture.client({ offline: true }), "org/tower@v2");
    expect(other).toMatchObject({ commit: undefined, absent: ["the revision"] });
    expect(isComplete(other)).toBe(false);
  });

  it("uses a snapshot that Python's tools made, without its listing", async () => {
    const fixture = await open({});
    const commit = "1".repeat(40);
    const folder = "models--org--tower";
    writeServed(fixture.cacheDir, `${folder}/refs/main`, commit);
    writeServed(fixture.cacheDir, `${folder}/blobs/${sha256}`, WEIGHTS);
    writeServed(fixture.cacheDir, `${folder}/blobs/${"2".repeat(40)}`, "{}");
    const snapshot = join(fixture.cacheDir, folder, "snapshots", commit);
    mkdirSync(snapshot, { recursive: true });
    symlinkSync(`../../blobs/${sha256}`, join(snapshot, "model.safetensors"));
    for (const offline of [true, false]) {
      const partial = await planSnapshot(
        fixture.client({ offline: true }),
        { reference: model("org/tower"), choose },
        { update: false },
      );
      expect(partial.absent).toEqual(offline ? ["config.json"] : []);
      if (offline) symlinkSync(`../../blobs/${"2".repeat(40)}`, join(snapshot, "config.json"));
    }
    const plan = await get(fixture.client());
    expect(plan.directory).toBe(snapshot);
    expect(plan.files.map(({ name, ready }) => [name, ready])).toEqual([
      ["config.json", true],
      ["model.safetensors", true],
    ]);
    expect(fixture.server.requests).toEqual([]);
  });

  it("does not take a link to a blob that is gone, or that has another size", async () => {
    const fixture = await open(repository);
    const plan = await get(fixture.client());
    const blob = join(fixture.cacheDir, "models--org--tower", "blobs", sha256);
    writeFileSync(blob, WEIGHTS.subarray(0, 10));
    expect(isComplete(await get(fixture.client({ offline: true })))).toBe(false);
    await get(fixture.client());
    expect(contentOf(plan, "model.safetensors")).toEqual(WEIGHTS);
  });
});

describe("the disk", () => {
  it("must have room before anything starts", async () => {
    const fixture = await open(repository);
    const hub = fixture.client({ freeBytes: async () => 299_000 });
    await expect(get(hub)).rejects.toThrow(
      `${fixture.cacheDir}: expected room for 300009 bytes of downloads, found 299000 bytes free on this disk; free space, or set HF_HUB_CACHE`,
    );
    expect(downloads(fixture)).toEqual([]);
    await get(fixture.client({ freeBytes: async () => 300_009 }));
  });
});

describe("several at once", () => {
  it("download a file once", async () => {
    const fixture = await open(repository);
    fixture.server.faults.push({ on: /model\.safetensors/, kind: "slow", bytesPerSecond: 400_000 });
    const plans = await Promise.all([get(fixture.client()), get(fixture.client()), get(fixture.client())]);
    for (const plan of plans) expect(contentOf(plan, "model.safetensors")).toEqual(WEIGHTS);
    expect(fixture.server.requests.filter(({ server }) => server === "storage")).toHaveLength(1);
    expect(fixture.lines.join("\n")).toContain("model.safetensors: in use by process");
    expect(statSync(join(fixture.cacheDir, ".locks")).isDirectory()).toBe(true);
    expect(readdirSync(join(fixture.cacheDir, ".locks", "models--org--tower"))).toEqual([]);
  });

  it("end together when one is stopped, and keep what came", async () => {
    const fixture = await open(repository);
    const stop = new AbortController();
    fixture.server.faults.push({ on: /model\.safetensors/, kind: "slow", bytesPerSecond: 400_000 });
    const hub = fixture.client({
      signal: stop.signal,
      onProgress: ({ doneBytes }) => doneBytes > 50_000 && stop.abort(),
    });
    await expect(get(hub)).rejects.toThrow("aborted");
    fixture.server.requests.length = 0;
    expect(contentOf(await get(fixture.client()), "model.safetensors")).toEqual(WEIGHTS);
    const [range] = fixture.server.requests
      .filter(({ server }) => server === "storage")
      .map((request) => request.range);
    expect(Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1])).toBeGreaterThan(40_000);
  });
});
