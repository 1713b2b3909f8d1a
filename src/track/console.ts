/**
 * Shows long work to the person who waits for it. On a terminal one line at the bottom says what goes on, and how far it is; elsewhere (a log file,
 * CI) there is a plain line now and then. Writes to the stream it is given and keeps nothing else.
 */
import pc from "picocolors";
import { objectiveLabel } from "../objective/catalog.js";
import type { EvaluationEvent, LookEvent, StartEvent, StepEvent, TrainEvent } from "../optimize/events.js";
import { shownLine, shownText } from "../runtime/printable.js";
import type { Progress } from "../runtime/progress.js";
import { signed } from "../runtime/signed.js";
import { createPieces } from "./pieces.js";
import { type ConsoleStream, DEFAULT_COLUMNS, duration } from "./terminal.js";

export interface ConsoleOptions {
  readonly stream: ConsoleStream;
  /** False with NO_COLOR; colours also need a terminal. */
  readonly color: boolean;
  /** Without a terminal: steps between lines. Default: a twentieth of the fit. */
  readonly everySteps?: number;
  /** Milliseconds; default: the process's. */
  readonly clock?: () => number;
}

export interface WorkConsole {
  /** What happens in a fit. */
  show(event: TrainEvent): void;
  /** How far a piece of work is. */
  progress(progress: Progress): void;
  /** Prints a line of text above the updating one. */
  log(line: string): void;
}

/** Without a terminal, lines in a whole fit unless `everySteps` says otherwise. */
const LINES_PER_FIT = 20;
/** Per-task numbers beyond this many make the line unreadable; the average is in the loss. */
const MAX_TASKS_SHOWN = 8;
/** How often the line is drawn again while a piece goes on, so that its time runs. */
const REDRAW_MS = 500;
/** Without a terminal: a piece that takes longer is told of, and again after as long. */
const LOGGED_MS = 10_000;

/** Renders the events of one fit at a time, and pieces of work as they come. */
export function createConsole({
  stream,
  color,
  everySteps,
  clock = () => performance.now(),
}: ConsoleOptions): WorkConsole {
  const { live } = stream;
  const colors = pc.createColors(color && live !== undefined);
  const pieces = createPieces(clock);
  let tasks: readonly string[] = [];
  let examples = "";
  let steps = 0;
  /** Of the last step, while its fit goes on. */
  let stepText = "";
  let averageBefore: number | undefined;
  let timer: NodeJS.Timeout | undefined;

  // A line that wraps is hard to read, and cannot be taken away in every terminal.
  const columns = () => (live === undefined ? Number.POSITIVE_INFINITY : (stream.columns ?? DEFAULT_COLUMNS) - 1);
  const print = (line: string) => stream.write(`${line}\n`);
  const draw = () => live?.(pieces.isEmpty ? stepText.slice(0, columns()) : pieces.line(columns()));
  const keepDrawing = () => {
    if (pieces.isEmpty) {
      clearInterval(timer);
      timer = undefined;
    } else timer ??= setInterval(draw, REDRAW_MS).unref();
  };
  const showStep = (event: StepEvent) => {
    const line = stepLine(event, { tasks, examples, steps });
    if (live !== undefined) {
      stepText = line;
      draw();
      return;
    }
    const every = everySteps ?? Math.max(1, Math.ceil(steps / LINES_PER_FIT));
    if (event.step % every === 0 || event.step === 1 || event.step === steps) print(line);
  };

  return {
    log: (line) => print(shownText(line)),
    progress: (progress) => {
      pieces.update(progress);
      if (live !== undefined) {
        draw();
        keepDrawing();
        return;
      }
      const words = pieces.words(LOGGED_MS);
      if (words !== undefined) print(words);
    },
    show(event) {
      switch (event.type) {
        case "start":
          tasks = event.tasks.map(shownLine);
          examples = event.examples;
          steps = event.steps;
          // Stages of one fit have its first evaluation in common.
          if ((event.stage?.number ?? 1) === 1) averageBefore = undefined;
          print(startLine(event));
          break;
        case "step":
          showStep(event);
          break;
        case "evaluation":
          print(colors.bold(evaluationLine(event, averageBefore, columns())));
          averageBefore ??= event.labelled?.averagePercent;
          break;
        case "look":
          print(lookLine(event));
          break;
        case "checkpoint":
          break;
        case "end":
          if (live !== undefined && stepText !== "") print(stepText.slice(0, columns()));
          stepText = "";
          draw();
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

function startLine(event: StartEvent): string {
  const { trainableCoefficients, tasks, groups, steps, imagesPerStep, examples, objective, passesPerStep, stage } =
    event;
  const place = stage === undefined ? "" : `stage ${stage.number} of ${stage.of}, to step ${stage.lastStep}: `;
  return (
    `${place}${trainableCoefficients} ${event.parameters ?? "coefficients"}: ${tasks.length} tasks x ${groups.length} groups; ` +
    `${steps} steps of ${imagesPerStep} ${examples}, minimising ${objectiveLabel(objective)}` +
    (passesPerStep > 1 ? `, each in ${passesPerStep} passes to stay inside memory_gb` : "")
  );
}

function stepLine(
  event: StepEvent,
  { tasks, examples, steps }: Pick<StartEvent, "tasks" | "examples" | "steps">,
): string {
  const perTask = tasks
    .slice(0, MAX_TASKS_SHOWN)
    .map((task, index) => `${task} ${(event.taskLosses[index] ?? Number.NaN).toFixed(3)}`)
    .join(" ");
  const more = tasks.length > MAX_TASKS_SHOWN ? " ..." : "";
  // The numbers that matter most come first: the end of the line is what a narrow terminal cuts.
  return (
    `step ${String(event.step).padStart(String(steps).length)}/${steps}  loss ${event.loss.toFixed(4)}  ` +
    `${event.imagesPerSecond.toFixed(1)} ${examples}/s  ${duration(event.secondsLeft)} left  ${perTask}${more}`
  );
}

/** With the numbers of all tasks where they fit; the difference is to the fit's first evaluation. */
function evaluationLine(event: EvaluationEvent, before: number | undefined, columns: number): string {
  const { step, labelled, entropyNats } = event;
  const average = entropyNats.reduce((a, b) => a + b, 0) / entropyNats.length;
  const head =
    labelled === undefined
      ? `step ${step}: entropy ${average.toFixed(3)} nats, no labels`
      : `step ${step}: accuracy ${labelled.averagePercent.toFixed(2)} %${differenceTo(before, labelled.averagePercent)}`;
  const values = labelled === undefined ? entropyNats : labelled.accuracyPercent;
  const decimals = labelled === undefined ? 3 : 2;
  const perTask = event.tasks.map((task, i) => `${shownLine(task)} ${(values[i] ?? Number.NaN).toFixed(decimals)}`);
  const whole = `${head} (${perTask.join(", ")})`;
  return whole.length <= columns ? whole : head;
}

function lookLine({ step, score, bestStep }: LookEvent): string {
  return `step ${step}: held-out score ${score.toFixed(4)}, ${bestStep === step ? "the best so far" : `best at step ${bestStep}`}`;
}

function differenceTo(before: number | undefined, now: number): string {
  if (before === undefined) return "";
  const points = now - before;
  return `, ${signed(points, 2)} since the first`;
}
