/** Which examples a run reads, for environment.json: what trackers show as its inputs. Fingerprints and counts only; no example and no label. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../../config/schema.js";
import type { ExampleStore } from "../../data/examples.js";
import { withoutCredentials } from "../../runtime/credentials.js";
import type { DataRecord } from "../../track/run-folder.js";
import type { Inputs } from "../session/inputs.js";

type Stores = ReadonlyMap<string, ExampleStore>;

/** What is adapted on and what is judged, task by task; a split that serves both is one data set. */
export function dataRecords(
  { data, seed }: RunConfig,
  { suite }: Pick<Inputs, "suite">,
  { adapted, judged }: { readonly adapted: Stores; readonly judged: Stores },
): DataRecord[] {
  const judgedSplit = data.eval_split ?? data.adapt_split;
  const records: DataRecord[] = [];
  for (const { name, dataset } of suite.tasks) {
    const recordOf = (store: ExampleStore, split: string, most: number, drawnBy?: number) => ({
      ...{ task: name, split, kind: store.kind, examples: Math.min(store.size, most) },
      digest: exampleDigest(store, split, most, drawnBy),
      source: withoutCredentials(dataset),
    });
    const own = adapted.get(name);
    const labelled = judged.get(name);
    const learned = own && recordOf(own, data.adapt_split, Infinity, data.adapt_limit === null ? undefined : seed);
    const measured = labelled && recordOf(labelled, judgedSplit, data.eval_limit ?? Infinity);
    if (learned !== undefined && learned.digest === measured?.digest)
      records.push({ ...learned, use: "adapted on and judged" });
    else {
      if (learned !== undefined) records.push({ ...learned, use: "adapted on" });
      if (measured !== undefined) records.push({ ...measured, use: "judged" });
    }
  }
  return records;
}

/** Of the examples that are looked at: all have the fingerprint of their split. A fixed length: trackers take so much of a digest. */
export function exampleDigest(store: ExampleStore, split: string, most = Infinity, drawnBy?: number): string {
  // Those that a seed draws are others than the first ones.
  const facts = [store.fingerprint ?? store.name, split, Math.min(store.size, most), drawnBy ?? null];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32);
}
