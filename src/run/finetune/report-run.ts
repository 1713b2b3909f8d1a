/** What a fine-tuning's report is made from beside its metrics: which examples it read, and how the saved model took those held out. */
import { join } from "node:path";
import type { ExampleStore } from "../../data/examples.js";
import { previewOf } from "../../data/preview-example.js";
import type { Evaluation } from "../../optimize/evaluate.js";
import { evenly } from "../../report/changed-examples.js";
import { writeFinetuneReport } from "../../report/finetune-report.js";
import { JUDGED_FILE, type JudgedExamples } from "../../report/judged-examples.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { withoutCredentials } from "../../runtime/credentials.js";
import type { DataRecord } from "../../track/run-folder.js";
import { exampleDigest } from "../records/data-record.js";
import type { Training } from "./training.js";
import type { ExampleSource } from "./training-data.js";

/** What is trained on, held out and judged, for environment.json. */
export function trainingRecords({ config, task, data }: Pick<Training, "config" | "task" | "data">): DataRecord[] {
  const { train, held, test, splits } = data;
  const record = (store: ExampleStore | undefined, split: string, use: DataRecord["use"]): DataRecord[] =>
    store === undefined
      ? []
      : [
          {
            ...{ task, split, use, kind: store.kind, examples: store.size },
            digest: exampleDigest(store, split),
            source: withoutCredentials(config.data),
          },
        ];
  return [
    ...record(train, splits.train, "trained on"),
    ...record(held, splits.held, "held out"),
    ...record(test, splits.test, "judged"),
  ];
}

/** How the saved model took the examples of one part. */
export interface JudgedPart {
  readonly part: string;
  readonly source: ExampleSource;
  readonly labels: Int32Array;
  readonly evaluation: Evaluation;
}

/**
 * Notes how the part was judged, and writes report.html. What it is made from is on the disk by then, so a report that
 * fails costs only itself: a failure is told to `log`.
 */
export async function reportFinetune(
  runPath: string,
  judged: JudgedPart | undefined,
  { config, data }: Pick<Training, "config" | "data">,
  log: (line: string) => void,
): Promise<void> {
  try {
    if (judged !== undefined) {
      const record = await judgedRecord(judged, data.classes, config.report_examples);
      await writeFileAtomic(join(runPath, JUDGED_FILE), `${JSON.stringify(record)}\n`);
    }
    log(`report: ${await writeFinetuneReport(runPath)}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log(
      `${runPath}: the run is complete, its report could not be written: ${reason}. Try \`adamerge report ${runPath}\``,
    );
  }
}

async function judgedRecord(
  { part, source, labels, evaluation: { predictions } }: JudgedPart,
  classes: readonly string[],
  most: number,
): Promise<JudgedExamples> {
  const nameOf = (label: number | undefined): string => classes[label ?? 0] ?? String(label);
  const wrong = [...labels.keys()].filter((index) => predictions[index] !== labels[index]);
  const shown = await Promise.all(
    evenly(wrong, most).map(async (index) => {
      const row = source.rows?.[index] ?? index;
      const names = { label: nameOf(labels[index]), predicted: nameOf(predictions[index]) };
      return { row, ...(await previewOf(source.dataset, row)), ...names };
    }),
  );
  return { part, classes: [...classes], labels: [...labels], predictions: [...predictions], shown };
}
