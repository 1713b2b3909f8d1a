/** What a data set's repository on the hub is said to lack. */
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
});
