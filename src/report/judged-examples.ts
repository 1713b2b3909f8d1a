/** How a fine-tuned model took each example that was held out, as its run's folder keeps it and its report shows it. C classes. */
import { z } from "zod";
import { printableList } from "../runtime/printable.js";
import { matrixForms } from "./figures/matrix.js";
import { escapeHtml } from "./html.js";
import { type Column, dataTable, numberCell } from "./page/data-table.js";
import { cardGrid, exampleCard, pictureSchema } from "./page/example-cards.js";
import { NONE } from "./page/numbers.js";
import type { Section } from "./page/page.js";
import type { Figure } from "./plot.js";

export const JUDGED_FILE = "judged.json";

const judgedSchema = z.object({
  /** What they are of the data: "held-out", "test". */
  part: z.string(),
  classes: z.array(z.string()),
  /** Classes by their index, one of each example, in the order of the data set. */
  labels: z.array(z.int().min(0)),
  predictions: z.array(z.int().min(0)),
  /** A few that were taken for another class, evenly among all of them. */
  shown: z.array(pictureSchema.extend({ predicted: z.string() })),
});

export type JudgedExamples = z.output<typeof judgedSchema>;

export const judgedKind = {
  what: "how held-out examples were judged",
  schema: judgedSchema,
  advice: "put the file back, or delete it to do without",
} as const;

/** Classes that a sentence names. */
const MOST_NAMED = 5;
/** More classes than a figure of their pairs can name. */
const MOST_CONFUSED = 30;

interface ClassRow {
  readonly name: string;
  readonly examples: number;
  readonly hits: number;
  /** How often the model said it, right or wrong. */
  readonly said: number;
  /** The class that its examples are most often taken for, and how often; undefined where none is. */
  readonly takenFor: { readonly name: string; readonly times: number } | undefined;
}

/** Counts [C][C] of examples: their class, what the model took them for. */
function confusion({ classes, labels, predictions }: JudgedExamples): number[][] {
  const counts = classes.map(() => classes.map(() => 0));
  for (const [index, label] of labels.entries()) {
    const [row, predicted] = [counts[label], predictions[index] ?? -1];
    if (row !== undefined) row[predicted] = (row[predicted] ?? 0) + 1;
  }
  return counts;
}

function classRows(judged: JudgedExamples): ClassRow[] {
  const { classes } = judged;
  const counts = confusion(judged);
  return classes.map((name, index) => {
    const row = counts[index] ?? [];
    const others = row.map((times, other) => ({ name: classes[other] ?? "", times: other === index ? 0 : times }));
    const most = others.reduce((top, each) => (each.times > top.times ? each : top), { name: "", times: 0 });
    return {
      name,
      examples: row.reduce((sum, times) => sum + times, 0),
      hits: row[index] ?? 0,
      said: counts.reduce((sum, of) => sum + (of[index] ?? 0), 0),
      takenFor: most.times === 0 ? undefined : most,
    };
  });
}

/** Of those of which there is no example. */
export function classesWithout(labels: Iterable<number>, classes: readonly string[]): readonly string[] {
  const present = new Set(labels);
  return classes.filter((_, label) => !present.has(label));
}

/** What accuracies on a part do not say, in a sentence without its end. `part`: "held out", "in the test part". */
export function notHeldOut(names: readonly string[], many: string, part: string): string {
  const ofThem = names.length === 1 ? "a class" : `${names.length} classes`;
  return `no ${many} of ${ofThem} are ${part}, so that accuracies there say nothing of ${names.length === 1 ? "it" : "them"}: ${printableList(names, MOST_NAMED)}`;
}

/** A class each row: how many of its examples are found, and how many that are called it are of it. */
export function classesSection(judged: JudgedExamples | undefined, many: string): Section[] {
  if (judged === undefined) return [];
  const share = (part: number, whole: number) => (whole === 0 ? NONE : numberCell((100 * part) / whole));
  const columns: readonly Column<ClassRow>[] = [
    { heading: "class", cell: ({ name }) => name },
    { heading: many, isNumber: true, cell: ({ examples }) => numberCell(examples, 0) },
    {
      heading: "found %",
      isNumber: true,
      tip: `Of the ${many} of the class, those that the model calls so (recall)`,
      cell: ({ hits, examples }) => share(hits, examples),
    },
    {
      heading: "right %",
      isNumber: true,
      tip: `Of the ${many} that the model calls so, those of the class (precision)`,
      cell: ({ hits, said }) => share(hits, said),
    },
    {
      heading: "taken for",
      cell: ({ takenFor }) => (takenFor === undefined ? NONE : `${takenFor.name} (${takenFor.times})`),
    },
  ];
  const lead = `<p>The ${judged.labels.length} ${many} of the ${escapeHtml(judged.part)} part, as the saved model sees them.</p>`;
  const absent = classesWithout(judged.labels, judged.classes);
  const part = judged.part === "held-out" ? "held out" : `in the ${judged.part} part`;
  const notice =
    absent.length === 0 ? "" : `\n<p class="warning">${escapeHtml(capital(notHeldOut(absent, many, part)))}.</p>`;
  const table = dataTable({ label: "Classes", rows: classRows(judged), columns });
  return [{ id: "classes", title: "Classes", body: `${lead}${notice}\n${table}` }];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Which classes are taken for which; none where there are too many to name, or all is right. */
export function confusionFigure(judged: JudgedExamples | undefined): Figure | undefined {
  if (judged === undefined || judged.classes.length > MOST_CONFUSED) return undefined;
  const { classes, part } = judged;
  const cells = confusion(judged).flatMap((row, label) =>
    row.flatMap((value, predicted) =>
      value === 0 ? [] : [{ row: classes[label], column: classes[predicted], value }],
    ),
  );
  if (cells.every(({ row, column }) => row === column)) return undefined;
  return {
    name: "confusion",
    title: "Confusion",
    caption: `How many examples of each class (rows) of the ${part} part the saved model takes for which (columns). Empty cells are 0.`,
    ...matrixForms(cells, {
      ...{ names: classes, measure: "examples", format: "d" },
      titles: { row: "class", column: "taken for" },
    }),
  };
}

/** A few of those that were taken for another class. */
export function mistakesSection(judged: JudgedExamples | undefined, many: string): Section[] {
  if (judged === undefined || judged.shown.length === 0) return [];
  const { labels, predictions, shown } = judged;
  const wrong = labels.filter((label, index) => predictions[index] !== label).length;
  const lead = `<p>${wrong} of ${labels.length} ${many} are taken for another class; those shown lie evenly among them. Under each its class, and struck through what the model took it for.</p>`;
  const cards = shown.map((one) => exampleCard(one, { change: "lost", word: "wrong", wrong: one.predicted }));
  return [{ id: "mistakes", title: "Taken for another class", body: [lead, ...cardGrid(shown, cards)].join("\n") }];
}
