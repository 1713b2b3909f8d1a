/**
 * What a search chose, in a file that ships with the experiment: for each row the best settings on val, the best on the judged images, every
 * candidate with both accuracies, and what the search cost. A record stands for one definition of its search and no other.
 */
import { z } from "zod";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { readJsonFileIfThere } from "../runtime/json-file.js";

const settings = z.record(z.string(), z.unknown());

const chosenSchema = z.strictObject({
  /** Hash of everything the search depends on. */
  key: z.string(),
  val: settings,
  oracle: settings,
  /** Percent, on the first suite. */
  candidates: z.array(z.strictObject({ settings, val: z.number(), judged: z.number() })),
  seconds: z.number(),
});

const fileSchema = z.strictObject({ experiment: z.string(), rows: z.record(z.string(), chosenSchema) });

export type ChosenSettings = z.output<typeof chosenSchema>;
export type Candidate = ChosenSettings["candidates"][number];

/** The records in `file` by row; none when there is no such file. Throws ConfigError when it is something else. */
export async function readChosen(file: string): Promise<Map<string, ChosenSettings>> {
  const found = await readJsonFileIfThere(file, {
    what: "the settings that a search wrote",
    schema: fileSchema,
    advice: "put the file back, or delete it and make the settings again with --search",
  });
  return new Map(Object.entries(found?.rows ?? {}));
}

export async function writeChosen(
  file: string,
  experiment: string,
  chosen: ReadonlyMap<string, ChosenSettings>,
): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify({ experiment, rows: Object.fromEntries(chosen) }, undefined, 1)}\n`);
}

/** The first of the candidates with the highest accuracy. */
export function bestBy(candidates: readonly Candidate[], which: "val" | "judged"): Candidate["settings"] {
  const [first, ...others] = candidates;
  if (first === undefined) throw new RangeError("a search without candidates");
  return others.reduce((best, candidate) => (candidate[which] > best[which] ? candidate : best), first).settings;
}
