/**
 * A fixed part of a split, for data sets that have no split to choose settings on: every n-th example, or all the others. Which these are
 * follows from the order of the data set alone; one whose bytes were there before goes with the first, so that the two parts have no example
 * in common.
 */
import { DataError } from "../errors.js";
import { kindOf } from "./kinds.js";
import type { Dataset } from "./readers/dataset-reader.js";
import { firstsByBytes, repeatNotices } from "./repeated-examples.js";

export interface SplitPart {
  /** Examples 0, n, 2n, ... are meant, */
  readonly every: number;
  /** or all but these. */
  readonly except: boolean;
}

/** The part as a data set of its own; its examples keep their order. Throws DataError when nothing is left. */
export async function takePart(dataset: Dataset, { every, except }: SplitPart, where: string): Promise<Dataset> {
  const firsts = await firstsByBytes(dataset);
  const all = Array.from({ length: dataset.size }, (_, index) => index);
  const indices = all.filter((index) => ((firsts[index] ?? index) % every === 0) !== except);
  if (indices.length === 0)
    throw new DataError(
      `${where}: ${dataset.name}, split ${dataset.split}: expected more ${kindOf(dataset.kind).many} than 1 to leave out every ${every}th, found ${dataset.size}`,
    );
  const { labels, files, second } = dataset;
  const indexOf = (position: number) => {
    const index = indices[position];
    if (index === undefined) throw new RangeError(`example ${position} is not in the split`);
    return index;
  };
  const repeats = repeatNotices(`${dataset.name}, split ${dataset.split}`, firsts, dataset);
  return {
    ...dataset,
    size: indices.length,
    encoded: (position) => dataset.encoded(indexOf(position)),
    ...(second === undefined ? {} : { second: (position: number) => second(indexOf(position)) }),
    locate: (position) => dataset.locate(indexOf(position)),
    notices: [...(dataset.notices ?? []), ...repeats],
    ...(labels === undefined ? {} : { labels: Int32Array.from(indices, (index) => labels[index] ?? -1) }),
    ...(files === undefined ? {} : { files: indices.flatMap((index) => files[index] ?? []) }),
  };
}
