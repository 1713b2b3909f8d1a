/** Texts that are in memory already, as a data set. */
import type { Dataset } from "../readers/dataset-reader.js";

/** `locate` says where a text is, for errors. */
export function textsInMemory(
  texts: readonly string[],
  { name, split, locate }: Pick<Dataset, "name" | "split" | "locate">,
): Dataset {
  return {
    ...{ kind: "text", name, split, locate, size: texts.length },
    encoded: async (index) => Buffer.from(texts[index] ?? "", "utf8"),
  };
}
