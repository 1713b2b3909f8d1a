/** What suite.yaml may say about a data set in a table, by the kind of its examples: the schema of parquet's and the manifests' parameters. */
import { z } from "zod";
import type { ExampleKind } from "../kind.js";

export interface TableNames {
  /** Names of the examples' column that are taken without a word. */
  readonly usual: readonly string[];
  /** What is said of the column of labels. */
  readonly labels: string;
  /** Whether the data set may have several configs. */
  readonly hasConfigs: boolean;
}

/** The columns of other kinds are unknown keys here: naming one is a mistake. */
export function tableParameters({ many, columns }: ExampleKind, { usual, labels, hasConfigs }: TableNames) {
  const { option, pairOption } = columns;
  const described = `Column of the ${many}; found by itself when it is ${usual.join(" or ")}`;
  const column = (key: string) => {
    const name = z.string().min(1).optional();
    if (key === option) return name.describe(described);
    return key === pairOption ? name.describe(`Column of the other ${many} of pairs`) : name;
  };
  const known = new Set(["label_column", option, pairOption, ...(hasConfigs ? ["config"] : [])]);
  return z
    .strictObject({
      config: column("config").describe("Config of a data set that has several, by its folder or its README"),
      image_column: column("image_column"),
      text_column: column("text_column"),
      pair_column: column("pair_column"),
      label_column: column("label_column").describe(labels),
    })
    .superRefine((value, context) => {
      const foreign = Object.entries(value).filter(([key, given]) => given !== undefined && !known.has(key));
      for (const [key] of foreign) context.addIssue({ code: "custom", message: `unknown key \`${key}\`` });
    });
}
