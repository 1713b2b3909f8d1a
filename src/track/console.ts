/**
 * Shows a fit to the person who waits for it: on a terminal one line that updates itself, elsewhere (a log
 * file, CI) a plain line now and then. Writes to the stream it is given and keeps no other state.
 */
import pc from "picocolors";
import { objectiveLabel } from "../objective/catalog.js";
import type { EvaluationEvent, StepEvent, TrainEvent } from "../optimize/events.js";
import { shownLine, shownText } from "../runtime/printable.js";
import { type ConsoleStream, duration, ERASE_LINE } from "./terminal.js";

export interface ConsoleOptions {
  readonly stream: ConsoleStream;
  /** False with NO_COLOR; colours also need a terminal. */
  readonly color: boolean;
  /** Without a terminal: steps between lines. Default: a twentieth of the fit. */
  readonly everySteps?: number;
}

export interface FitConsole {
  show(event: TrainEvent): void;
  /** Prints a line of text above the updating one. */
  log(line: string): void;
}

/** Width of a terminal that does not tell its own. */
const DEFAULT_COLUMNS = 80;
/** Without a terminal, lines in a whole fit unless `everySteps` says otherwise. */
const LINES_PER_FIT = 20;
/** Per-task numbers beyond this many make the line unreadable; the average is in the loss. */
const MAX_TASKS_SHOWN = 8;

/** Renders the events of one fit at a time. */
export function createConsole({ stream, color, everySteps }: ConsoleOptions): FitConsole {
  const isTerminal = stream.isTTY === true;
  const colors = pc.createColors(color && isTerminal);
  let tasks: readonly string[] = [];
  let steps = 0;
  let liveLine = "";

  const print = (line: string) => {
    stream.write(liveLine === "" ? `${line}\n` : `${ERASE_LINE}${line}\n${liveLine}`);
  };
  const showStep = (event: StepEvent) => {
    const line = stepLine(event, tasks, steps);
    if (isTerminal) {
      // A line that wraps cannot be erased by one erase.
      liveLine = line.slice(0, (stream.columns ?? DEFAULT_COLUMNS) - 1);
      stream.write(`${ERASE_LINE}${liveLine}`);
      return;
    }
    const every = everySteps ?? Math.max(1, Math.ceil(steps / LINES_PER_FIT));
    if (event.step % every === 0 || event.step === 1 || event.step === steps) print(line);
  };

  return {
    log: (line) => print(shownText(line)),
    show(event) {
      switch (event.type) {
        case "start":
          tasks = event.tasks.map(shownLine);
          steps = event.steps;
          print(
            `${event.trainableCoefficients} coefficients: ${tasks.length} tasks x ${event.groups.length} groups; ` +
              `${event.steps} steps of ${event.imagesPerStep} images, minimising ${objectiveLabel(event.objective)}` +
              (event.passesPerStep > 1 ? `, each in ${event.passesPerStep} passes to stay inside memory_gb` : ""),
          );
          break;
        case "step":
          showStep(event);
          break;
        case "evaluation":
          print(colors.bold(evaluationLine(event)));
          break;
        case "checkpoint":
          break;
        case "end":
          if (liveLine !== "") stream.write("\n");
          liveLine = "";
          print(
            `${event.reason === "finished" ? colors.green("finished") : colors.yellow("interrupted")} after step ${event.step}, ${duration(event.seconds)}`,
          );
          break;
        default:
          event satisfies never;
      }
    },
  };
}

function stepLine(event: StepEvent, tasks: readonly string[], steps: number): string {
  const perTask = tasks
    .slice(0, MAX_TASKS_SHOWN)
    .map((task, index) => `${task} ${(event.taskLosses[index] ?? Number.NaN).toFixed(3)}`)
    .join(" ");
  const more = tasks.length > MAX_TASKS_SHOWN ? " ..." : "";
  // The numbers that matter most come first: the end of the line is what a narrow terminal cuts.
  return (
    `step ${String(event.step).padStart(String(steps).length)}/${steps}  loss ${event.loss.toFixed(4)}  ` +
    `${event.imagesPerSecond.toFixed(1)} images/s  ETA ${duration(event.secondsLeft)}  ${perTask}${more}`
  );
}

function evaluationLine(event: EvaluationEvent): string {
  const perTask = (values: readonly number[], decimals: number) =>
    event.tasks
      .map((task, index) => `${shownLine(task)} ${(values[index] ?? Number.NaN).toFixed(decimals)}`)
      .join(", ");
  const { labelled, entropyNats } = event;
  if (labelled !== undefined)
    return `step ${event.step}: accuracy ${labelled.averagePercent.toFixed(2)} % (${perTask(labelled.accuracyPercent, 2)})`;
  const average = entropyNats.reduce((a, b) => a + b, 0) / entropyNats.length;
  return `step ${event.step}: entropy ${average.toFixed(3)} nats, no labels (${perTask(entropyNats, 3)})`;
}
