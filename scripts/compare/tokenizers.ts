/**
 * `compare tokenizers`: tokens of awkward texts by transformers (`tokenizer_kinds.py`, which also makes the tokenizers) and by us, for every kind of
 * tokenizer: whole texts, and pairs and texts that are cut.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { folderTokenizer } from "../../dist/data/text/tokenizer/folder-tokenizer.js";
import { readTokenizerFiles } from "../../dist/data/text/tokenizer/tokenizer-files.js";
import { findPython } from "./find-python.js";
import { finish } from "./finish.js";

const SCRIPT = join(import.meta.dirname, "tokenizer_kinds.py");

interface TokenizersArguments {
  readonly python: string | undefined;
  readonly bert: string | undefined;
  readonly texts: number;
  readonly seed: number;
  readonly json: string | undefined;
}

export const tokenizersCommand: CommandModule<object, TokenizersArguments> = {
  command: "tokenizers",
  describe: "Tokens of 10,000 awkward texts by transformers and by us, for every kind of tokenizer",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers and sentencepiece (default: python3)" })
      .option("bert", {
        type: "string",
        describe: "The folder of a BERT model whose vocabulary is taken (else a small one)",
      })
      .option("texts", { type: "number", default: 10_000, describe: "How many texts" })
      .option("seed", { type: "number", default: 1, describe: "Of the texts" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

const expectedSchema = z.object({
  ids: z.array(z.array(z.number())),
  pairs: z.array(
    z.object({
      first: z.number(),
      pair: z.boolean(),
      most: z.number().nullable(),
      ids: z.array(z.number()),
      segments: z.array(z.number()),
    }),
  ),
});

async function compare({ python: asked, bert, texts: count, seed }: TokenizersArguments) {
  const packages = ["transformers", "tokenizers", "sentencepiece", "protobuf"];
  const python = findPython(asked, {
    modules: ["transformers", "tokenizers", "sentencepiece", "google.protobuf"],
    packages,
    target: "tokenizers",
  });
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  try {
    const args = [SCRIPT, "make", folder, bert ?? "-", String(count), String(seed)];
    const { status } = spawnSync(python.command, args, { stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) throw new Error(`${python.command} ${args.join(" ")} ended with ${status}`);
    const texts = z.array(z.string()).parse(await readJson(join(folder, "texts.json")));
    const kinds: Record<string, Awaited<ReturnType<typeof compareKind>>> = {};
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory()) kinds[entry.name] = await compareKind(join(folder, entry.name), texts);
    return {
      what: `tokens of ${texts.length} texts, and of ${Math.floor(texts.length / 2)} pairs and texts cut longest_first, by transformers and by us`,
      command: `npm run compare -- tokenizers --python PYTHON${bert === undefined ? "" : " --bert MINILM"} --texts ${count} --seed ${seed}`,
      as_asked: Object.values(kinds).every(({ different, different_pairs }) => different + different_pairs === 0),
      wordpiece: bert === undefined ? "a small vocabulary" : "the vocabulary of the model that --bert names",
      kinds,
      node: process.version,
      unicode: process.versions.unicode,
      versions: python.versions,
      date: new Date().toISOString().slice(0, 10),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}

async function compareKind(folder: string, texts: readonly string[]) {
  const expected = expectedSchema.parse(await readJson(join(folder, "expected.json")));
  const { encode } = folderTokenizer(await readTokenizerFiles(folder), "");
  const different = texts.filter(
    (text, index) => encode(text, undefined, Number.POSITIVE_INFINITY).ids.join() !== expected.ids[index]?.join(),
  );
  const pairs = expected.pairs.filter(({ first, pair, most, ids, segments }) => {
    const second = pair ? (texts[first + 1] ?? "") : undefined;
    const found = encode(texts[first] ?? "", second, most ?? Number.POSITIVE_INFINITY);
    return found.ids.join() !== ids.join() || found.segments.join() !== segments.join();
  });
  return {
    tokens: expected.ids.reduce((sum, ids) => sum + ids.length, 0),
    different: different.length,
    different_pairs: pairs.length,
    examples: different.slice(0, 5),
  };
}
