/** Labels and probabilities of two programs on the same examples, and how far they lie apart. */
import { z } from "zod";

/** Two classes whose probabilities lie closer are the same to float32: either may come first. */
const TIE = 1e-5;

const labelSchema = z.object({ label: z.string(), probability: z.number() });
/** By reader and example, of each task the likeliest label. */
export const theirSchema = z.record(z.string(), z.array(z.record(z.string(), labelSchema)));
const ourSchema = z.object({
  source: z.string(),
  predictions: z.array(z.object({ task: z.string(), labels: z.array(labelSchema).min(2) })),
});

export type OurRow = z.infer<typeof ourSchema>;
export type TheirRow = z.infer<typeof theirSchema>[string][number];

/** What `adamerge predict --format jsonl --top 2` printed. */
export function ourRows(printed: string): readonly OurRow[] {
  return printed
    .trimEnd()
    .split("\n")
    .map((line) => ourSchema.parse(JSON.parse(line)));
}

export function differences(ours: readonly OurRow[], theirs: readonly TheirRow[]) {
  if (ours.length !== theirs.length) throw new Error(`expected ${theirs.length} rows of predict, found ${ours.length}`);
  let [compared, ties, differing, largest] = [0, 0, 0, 0];
  for (const [row, { predictions }] of ours.entries())
    for (const { task, labels } of predictions) {
      const other = theirs[row]?.[task];
      const [first, second] = labels;
      if (other === undefined || first === undefined || second === undefined)
        throw new Error(`${row}: no head ${task}`);
      compared += 1;
      largest = Math.max(largest, Math.abs(first.probability - other.probability));
      if (first.label === other.label) continue;
      const isTie = second.label === other.label && first.probability - second.probability < TIE;
      if (isTie) ties += 1;
      else differing += 1;
    }
  return { examples: ours.length, compared, differing, ties, largest_difference: largest };
}
