/**
 * The keys of a config that say what task vectors are before anything is learned, and the settings that do not go
 * together. What processings do: merge/task-vector-processings.ts.
 */
import { z } from "zod";
import type { SettingIssue } from "./parametrisation.js";

/** The key `task_vectors` of a config. */
export const taskVectors = z.strictObject({
  origin: z
    .enum(["pretrained", "average"])
    .default("pretrained")
    .describe("What they are counted from, and added to: the pretrained base, or the average of the experts"),
  processing: z
    .enum(["none", "ties", "consensus", "tsv", "iso_cts", "svc", "pcb", "knots", "cart"])
    .default("none")
    .describe(
      "Before learning: none; ties (AdaMerging++); consensus; or a method's parts, from 1: tsv, iso_cts, svc, pcb, knots, cart",
    ),
  density: z
    .number()
    .gt(0)
    .max(1)
    .default(0.2)
    .describe(
      "Share of each task vector that ties or knots keeps, of its directions that cart keeps, or that wins with pcb, 0 to 1",
    ),
  dtype: z
    .enum(["float32", "float16"])
    .default("float32")
    .describe("How they are stored and mapped: float16 takes half the memory and rounds them to 11 bits"),
});

interface Settings {
  readonly task_vectors: z.output<typeof taskVectors>;
  readonly coefficients: { readonly constraint: string };
}

/** Those that weigh what tasks have in common, which the sum of their vectors from their own mean has nothing of. */
const OF_THE_SUM: ReadonlySet<string> = new Set(["consensus", "iso_cts", "svc", "pcb"]);

/** What does not go with where task vectors are counted from. */
export function taskVectorIssues({ task_vectors, coefficients }: Settings): readonly SettingIssue[] {
  const { origin, processing } = task_vectors;
  const wrong = (key: string, message: string): SettingIssue => ({ path: ["task_vectors", key], message });
  if (origin === "pretrained") {
    if (processing !== "cart") return [];
    return [wrong("origin", "expected average with processing cart, whose task vectors are, found pretrained")];
  }
  if (OF_THE_SUM.has(processing))
    return [
      wrong(
        "processing",
        `expected none, ties, tsv, knots or cart with origin average, found ${processing}, which looks at the sum of the task vectors: counted from their average it is 0`,
      ),
    ];
  if (processing === "none" && coefficients.constraint === "softmax")
    return [
      wrong(
        "origin",
        "expected pretrained with coefficients.constraint softmax, found average: coefficients that sum to 1 give the same model from any origin",
      ),
    ];
  return [];
}
