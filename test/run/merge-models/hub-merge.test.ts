/** Merge files whose models and adapters are on the (fake) hub give what the same files with folders give. */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { type FakeHub, startFakeHub } from "../../fake-hub/fake-hub.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";

const CONFORMANCE = join(ROOT, "test", "conformance");
const BASE = join(CONFORMANCE, "tower-quick-gelu");
const [PLAIN, PATTERNS] = ["plain", "patterns"].map((name) => join(CONFORMANCE, "adapters", name));
let folder: string;
let hub: FakeHub;

beforeAll(async () => {
  folder = await temporaryFolder();
  const served = join(folder, "served", "models", "org");
  await cp(BASE, join(served, "tower"), { recursive: true });
  await writeFile(join(served, "tower", "tokenizer.json"), "{}");
  for (const [place, name] of [
    ["1_Pooling", "config.json"],
    ["onnx", "model.onnx"],
    [".", "source.spm"],
  ] as const) {
    await mkdir(join(served, "tower", place), { recursive: true });
    await writeFile(join(served, "tower", place, name), name);
  }
  const weight = { name: "weight", dtype: "F32", shape: [2, 1], data: Float32Array.of(1, 2) };
  const scale = { name: "logit_scale", dtype: "F32", shape: [], data: Float32Array.of(1) };
  await writeSafetensors(join(served, "tower", "heads", "own.safetensors"), [weight, scale]);
  await cp(PLAIN ?? "", join(served, "plain-lora"), { recursive: true });
  await cp(PATTERNS ?? "", join(served, "patterns-lora"), { recursive: true });
  hub = await startFakeHub(join(folder, "served"));
});
afterAll(() => hub.close());

async function merge(name: string, models: readonly string[], base: string, flags = "") {
  const list = models.map((model) => `  - {model: ${model}}\n`).join("");
  await writeFile(
    join(folder, `${name}.yaml`),
    `models:\n${list}base_model: ${base}\nmerge_method: task_arithmetic\nparameters: {weight: 0.5}\n`,
  );
  const places = { HF_HUB_CACHE: join(folder, "hub"), ADAMERGE_CACHE: join(folder, "cache"), HF_ENDPOINT: hub.url };
  return runInProcess(folder, `merge ${name}.yaml --output ${name}${flags}`, places);
}

const weights = (name: string) => readFile(join(folder, name, "model.safetensors"));

test("offline, an empty cache is said with every repository it lacks", async () => {
  const { code, stderr } = await merge("lacking", ["org/tower+org/plain-lora"], "org/tower", " --offline");
  expect(code).toBe(3);
  for (const name of ["org/tower:", "org/plain-lora:"]) expect(stderr).toContain(name);
  expect(hub.requests).toEqual([]);
  expect(await readdir(folder)).not.toContain("lacking.partial");
});

test("models, adapters and the tokenizer come from the hub, and the second time from its cache", async () => {
  const remote = await merge("remote", ["org/tower+org/plain-lora", "org/patterns-lora@main"], "org/tower");
  expect(remote).toMatchObject({ code: 0 });
  const local = await merge("local", [`${BASE}+${PLAIN}`, PATTERNS ?? ""], BASE);
  expect(local).toMatchObject({ code: 0 });
  expect((await weights("remote")).equals(await weights("local"))).toBe(true);
  const names = await readdir(join(folder, "remote"));
  expect(names).toEqual(expect.arrayContaining(["tokenizer.json", "source.spm", "1_Pooling"]));
  expect(names).not.toContain("onnx");
  expect(await readdir(join(folder, "remote", "heads"))).toEqual(["own.safetensors"]);
  expect(hub.requests.some(({ url }) => url.includes("model.onnx"))).toBe(false);
  expect(await readFile(join(folder, "remote", "1_Pooling", "config.json"), "utf8")).toBe("config.json");
  const before = hub.requests.length;
  const again = await merge("again", ["org/tower+org/plain-lora", "org/patterns-lora"], "org/tower", " --offline");
  expect(again).toMatchObject({ code: 0 });
  expect((await weights("again")).equals(await weights("local"))).toBe(true);
  expect(hub.requests).toHaveLength(before);
});

test("a repository that is not there, and a folder that is not", async () => {
  const absent = await merge("absent", ["org/nothing"], "org/tower");
  expect(absent.code).toBe(3);
  expect(absent.stderr).toMatch(/^adamerge: org\/nothing: /m);
  const folderless = await merge("folderless", ["./nothing"], "org/tower");
  expect(folderless.code).toBe(3);
  expect(folderless.stderr).toMatch(/nothing: expected a checkpoint folder/);
});
