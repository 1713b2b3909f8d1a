import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/dataset.js";
import { DataError } from "../../../src/errors.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const root = temporaryFolder();
let made = 0;
/** A data set of this text as `test.csv` (or another name), and images a.png and "b, c.png". */
const put = (text: string, name = "test.csv"): string => {
  const folder = `set${made++}`;
  writeAt(root, `${folder}/${name}`, text);
  writeAt(root, `${folder}/images/a.png`, "A");
  writeAt(root, `${folder}/images/b, c.png`, "B");
  return join(root, folder);
};
const open = (path: string, classes?: readonly string[], parameters?: unknown) =>
  openDataset({ kind: "image", path, split: "test", classes, where: "tasks.x", parameters });
const ROWS = 'path,label\nimages/a.png,dog\n"images/b, c.png","cat ""tom"""\n';

describe("CSV manifests", () => {
  it("read paths, quoted fields, a byte order mark and Windows line ends", async () => {
    for (const text of [ROWS, `\uFEFF${ROWS.replaceAll("\n", "\r\n")}`]) {
      const set = await open(put(text));
      expect(set).toMatchObject({ size: 2, classes: ['cat "tom"', "dog"] });
      expect([...(set.labels ?? [])]).toEqual([1, 0]);
      expect(Buffer.from(await set.encoded(1)).toString()).toBe("B");
    }
  });

  it("give labels in the head's order, and say which classes differ", async () => {
    const set = await open(put(ROWS), ["dog", 'cat "tom"']);
    expect([...(set.labels ?? [])]).toEqual([0, 1]);
    await expect(open(put(ROWS), ["dog", "bird"])).rejects.toThrow("only in the head: bird");
  });

  it("without labels are unlabelled; other columns can be named", async () => {
    expect("labels" in (await open(put("path\nimages/a.png\n")))).toBe(false);
    const set = await open(put("file,kind\nimages/a.png,x\n"), undefined, {
      image_column: "file",
      label_column: "kind",
    });
    expect(set.classes).toEqual(["x"]);
  });

  it("of all splits are cut to the one that is asked for", async () => {
    const text = "path,label,split\nimages/a.png,x,train\nimages/a.png,y,test\n";
    const set = await open(put(text, "manifest.csv"), ["y", "x"]);
    expect(set).toMatchObject({ size: 1, classes: ["y", "x"] });
    expect([...(set.labels ?? [])]).toEqual([0]);
    await expect(open(put(text.replace("y,test", "y,val"), "manifest.csv"))).rejects.toThrow(
      "at least 1 image of split test",
    );
  });

  it.each([
    ["", "at least 1 image"],
    ["label\nx\n", "expected a column path, found label"],
    ["path,path\na,b\n", "found path twice"],
    ["path,label\na.png\n", "expected CSV with a header row"],
    ["path,label\n,x\n", ":2: expected a value for path"],
    ["path,label\na.png,\nb.png,x\n", ":2: expected a value for label"],
    ['path,label\n"a.png,x\n', "expected CSV with a header row"],
    [`path,label\n${"a".repeat(200_000)},x\n`, "expected CSV with a header row"],
  ])("that are none are refused: %j", async (text, message) => {
    await expect(open(put(text))).rejects.toThrow(message);
  });

  it("name the row of an image that is not there", async () => {
    const set = await open(put("path,label\nimages/none.png,x\n"));
    await expect(set.encoded(0)).rejects.toThrow(/test\.csv:2 .*none\.png\): expected a readable image/);
  });
});

it("refuses a line of gigabytes when it is longer than any row, wherever it stands", async () => {
  for (const [place, text] of [
    ["first", "x".repeat(2_000_000)],
    ["later", `path,label\n${"a.png,b\n".repeat(20_000)}"${"x".repeat(2_000_000)}`],
    ["in a quote", `path,label\n"${"x".repeat(999)}${"\nx".repeat(1_000_000)}`],
  ] as const) {
    writeAt(root, `${place}/test.csv`, text);
    const failure = await openDataset({
      kind: "image",
      path: join(root, place),
      split: "test",
      where: "tasks.x",
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect(String(failure)).toMatch(/test\.csv: .*(?:a longer one|Max Record Size)/);
  }
});
