/** Which files of a data set's repository on the hub are chosen, and what it is said to lack. */
import { describe, expect, it } from "vitest";
import { datasetFiles } from "../../../src/data/readers/dataset-files.js";

const absentOf = async (names: readonly string[], config?: string) =>
  (await datasetFiles({ config, splits: ["test"] })([...names], async () => Buffer.alloc(0))).absent;

describe("files of a data set's repository", () => {
  it("in other forms than parquet are said, with the revision that has parquet", async () => {
    const [archives] = await absentOf(["train/0.tar", "train/nshards.txt", "classnames.txt"]);
    expect(archives).toBe(
      "parquet files of split test (it has archives in train; the hub keeps a parquet copy of most data sets in the revision refs/convert/parquet: org/name@refs/convert/parquet)",
    );
    const [script] = await absentOf(["data.zip", "data.py"]);
    expect(script).toContain("(it has no parquet files; the hub keeps a parquet copy");
  });

  it("are not said to be of another form where only the split is another", async () => {
    expect(await absentOf(["data/train-00000-of-00001.parquet", "extra.tar"])).toEqual([
      "parquet files of split test (its splits are train; map them under dataset.splits)",
    ]);
    expect(await absentOf(["default/test/0000.parquet"])).toEqual([]);
  });

  it("with tables of texts are those of the split, in one form", async () => {
    const card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: held/*.tsv\n---\n";
    const chosen = async (names: readonly string[], config?: string) => {
      const { files, absent } = await datasetFiles({ config, splits: ["test"] })([...names], async () =>
        Buffer.from(card),
      );
      return [files, absent];
    };
    expect(await chosen(["train.csv", "test.csv", "test.jsonl", "figure.png"])).toEqual([["test.csv"], []]);
    expect(await chosen(["data/test.jsonl.gz", "data/train.jsonl.gz"])).toEqual([["data/test.jsonl.gz"], []]);
    expect(await chosen(["en/test.csv", "de/test.csv"], "de")).toEqual([["de/test.csv"], []]);
    expect(await chosen(["README.md", "held/a.tsv", "held/b.tsv", "train.tsv"])).toEqual([
      ["held/a.tsv", "held/b.tsv", "README.md"],
      [],
    ]);
    // Parquet comes first, and tables beside images or archives are of them.
    expect(await chosen(["test.csv", "data/test.parquet"])).toEqual([["data/test.parquet"], []]);
    expect((await chosen(["test.csv", "images.zip"]))[0]).toEqual([]);
    expect((await chosen(["test.csv", ...Array.from({ length: 30 }, (_, index) => `${index}.png`)]))[0]).toEqual([]);
    expect((await chosen(["train.csv", "dev.csv"]))[1]).toEqual([
      "files of split test (its splits are train, dev; map them under dataset.splits)",
    ]);
  });
});
