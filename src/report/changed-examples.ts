/** The examples that a fit gained and lost, as a run's folder keeps them and as its report shows them. */
import { z } from "zod";
import { escapeHtml } from "./html.js";
import { cardGrid, exampleCard, pictureSchema } from "./page/example-cards.js";
import type { Section } from "./page/page.js";

export const EXAMPLES_FILE = "examples.json";

const shownSchema = pictureSchema.extend({ before: z.string(), after: z.string() });
const taskSchema = z.object({
  task: z.string(),
  examples: z.int(),
  gained: z.int(),
  lost: z.int(),
  gainedExamples: z.array(shownSchema),
  lostExamples: z.array(shownSchema),
});
const examplesSchema = z.object({
  split: z.string(),
  /** Rows of the table that are compared. */
  before: z.string(),
  after: z.string(),
  /** What was done to the judged examples; here they are shown without. */
  corruption: z.string().optional(),
  tasks: z.array(taskSchema),
});
export type ShownExample = z.output<typeof shownSchema>;
export type TaskExamples = z.output<typeof taskSchema>;
export type ChangedExamples = z.output<typeof examplesSchema>;

export const examplesKind = {
  what: "the examples of a run's report",
  schema: examplesSchema,
  advice: "put the file back, or delete it to do without",
} as const;

/** Up to `most` of them, evenly spread from the first to the last. */
export function evenly<T>(all: readonly T[], most: number): T[] {
  const count = Math.min(most, all.length);
  return Array.from({ length: count }, (_, index) => Math.floor((index * all.length) / count)).flatMap((place) =>
    all.slice(place, place + 1),
  );
}

/** Of a page of at most 3 MB; where all together have more, fewer of each task are shown. */
const MOST_EXAMPLES_BYTES = 1_200_000;

/** As many of each task's examples as fit, at least one of each kind. */
function thatFit(tasks: readonly TaskExamples[]): readonly TaskExamples[] {
  const all = tasks.flatMap(({ gainedExamples, lostExamples }) => [...gainedExamples, ...lostExamples]);
  const bytes = all.reduce((sum, { png, text }) => sum + (png ?? text ?? "").length, 0);
  if (bytes <= MOST_EXAMPLES_BYTES) return tasks;
  const most = Math.max(0, ...tasks.map((task) => Math.max(task.gainedExamples.length, task.lostExamples.length)));
  const kept = Math.max(1, Math.floor((most * MOST_EXAMPLES_BYTES) / bytes));
  return tasks.map((task) => ({
    ...task,
    gainedExamples: evenly(task.gainedExamples, kept),
    lostExamples: evenly(task.lostExamples, kept),
  }));
}

/** A section with what each task gained and lost; none for a run that compared nothing. */
export function examplesSection(changed: ChangedExamples | undefined, many: string): Section[] {
  if (changed === undefined) return [];
  const { split, before, after, corruption, tasks } = changed;
  const how =
    corruption === undefined ? "" : `, which were corrupted (${corruption}) and are shown as they were before`;
  const lead = `<p>Of the ${many} of <code>${escapeHtml(split)}</code>${escapeHtml(how)}: right with <code>${escapeHtml(after)}</code> and wrong with <code>${escapeHtml(before)}</code> (gained), and the other way round (lost). Under each its class, and struck through what the model that was wrong took it for; those shown lie evenly among all.</p>`;
  return [{ id: "examples", title: "Gained and lost", body: [lead, ...thatFit(tasks).map(taskPart)].join("\n") }];
}

function taskPart({ task, examples, gained, lost, gainedExamples, lostExamples }: TaskExamples): string {
  const heading = `<h3>${escapeHtml(task)}: ${gained} gained, ${lost} lost of ${examples}</h3>`;
  const cards = [
    ...gainedExamples.map((shown) => card("gained", shown)),
    ...lostExamples.map((shown) => card("lost", shown)),
  ];
  return [heading, ...cardGrid([...gainedExamples, ...lostExamples], cards)].join("\n");
}

function card(change: "gained" | "lost", shown: ShownExample): string {
  return exampleCard(shown, { change, word: change, wrong: change === "gained" ? shown.before : shown.after });
}
