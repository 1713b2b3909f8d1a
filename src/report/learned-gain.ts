/** What learning brought over models that learned nothing, in lines for a terminal: paired differences, and a few examples gained and lost. */
import { shownLine } from "../runtime/printable.js";
import { signed } from "../runtime/signed.js";
import { AVERAGING, START } from "../track/result-rows.js";
import { type ChangedExamples, evenly, type ShownExample } from "./changed-examples.js";
import type { PairedGain } from "./statistics.js";

/** A learned model over another, on the same examples. */
export interface LearnedGain extends PairedGain {
  /** Its row of the table. */
  readonly method: string;
  /** The other's row: weight averaging, where the fit started, or the best of those that learned nothing. */
  readonly over: string;
}

/** What stands beside the name of a row that models are compared with. */
const REFERENCES: ReadonlyMap<string, string> = new Map([
  [AVERAGING, ""],
  [START, ", the model before the first step"],
]);
const BEST_WITHOUT_LEARNING = ", the best here that learns nothing";

/** A block for each model that they are over; nothing for no gains. */
export function gainLines(gains: readonly LearnedGain[]): string[] {
  const width = Math.max(...gains.map(({ method }) => method.length));
  const blocks = [...new Set(gains.map(({ over }) => over))].map((over, index) => {
    const lines = gains
      .filter((gain) => gain.over === over)
      .map(({ method, points, interval: [low, high] }) => {
        const interval = `${signed(low, 1)} to ${signed(high, 1)}`;
        return `  ${method.padEnd(width)}  ${signed(points, 1).padStart(5)}  (${interval})`;
      });
    const unit = index === 0 ? ", in points (95 % interval, paired by example)" : "";
    return [`over ${over}${REFERENCES.get(over) ?? BEST_WITHOUT_LEARNING}${unit}:`, ...lines];
  });
  return gains.length === 0 ? [] : ["", ...blocks.flat()];
}

/** Whether learning paid, in a sentence: by the interval, which may hold 0, and over where it started. */
export function verdictLine({ over, interval: [low, high] }: LearnedGain): string {
  const other = over === START ? "its start" : "the plain mean of the experts";
  if (low > 0) return `${over === START ? "learning paid: " : ""}the model is better than ${other}`;
  if (high < 0)
    return `${over === START ? "learning did not pay: " : ""}the model is worse than ${other} (docs/troubleshooting.md says what helps)`;
  return `no clear difference between the model and ${other} on these examples`;
}

/** Examples of each kind that are shown. */
const SHOWN = { gained: 3, lost: 2 } as const;
/** Longer texts are cut: with its classes each is to stand on one line of a usual terminal. */
const MOST_CHARACTERS = 60;

/** The first example of each of a few tasks, evenly chosen among those that have one. */
export function changedLines({ before, after, tasks }: ChangedExamples): string[] {
  const linesOf = (change: "gained" | "lost"): string[] => {
    const candidates = tasks.flatMap(({ task, gainedExamples, lostExamples }) => {
      const [first] = change === "gained" ? gainedExamples : lostExamples;
      return first === undefined ? [] : [{ task, first }];
    });
    return evenly(candidates, SHOWN[change]).flatMap(({ task, first }) => exampleLines(change, task, first));
  };
  const lines = [...linesOf("gained"), ...linesOf("lost")];
  const [gained, lost] = [sum(tasks.map((task) => task.gained)), sum(tasks.map((task) => task.lost))];
  return ["", `${after} against ${before}: ${gained} examples gained, ${lost} lost, among them`, ...lines, ""];
}

function exampleLines(
  change: "gained" | "lost",
  task: string,
  { row, text, label, before, after }: ShownExample,
): string[] {
  const what = text === undefined ? `image ${row}` : `"${cut(shownLine(text))}"`;
  const taken = change === "gained" ? `was taken for ${shownLine(before)}` : `is now taken for ${shownLine(after)}`;
  return [`  ${change.padEnd("gained".length)}  ${task}: ${what}`, `          ${shownLine(label)}, ${taken}`];
}

const cut = (text: string): string =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 3)}...` : text;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
