import { describe, expect, test } from "vitest";
import type { TrainEvent } from "../../src/optimize/events.js";
import { createConsole } from "../../src/track/console.js";

/** The updating line, as it is set, in brackets: [] takes it away. */
function show(events: readonly TrainEvent[], terminal: { isTTY?: boolean; columns?: number }, color = false): string {
  let text = "";
  const add = (part: string) => {
    text += part;
  };
  const live = terminal.isTTY === true ? { live: (line: string) => add(`[${line}]\n`) } : {};
  const view = createConsole({ stream: { ...terminal, ...live, write: add }, color });
  for (const event of events) {
    view.show(event);
    if (event.type === "step" && event.step === 2) view.log("a word");
  }
  return text;
}

function step(number: number): TrainEvent {
  return {
    type: "step",
    step: number,
    loss: 1.5,
    taskLosses: [1, 0.5],
    gradientNorm: 1,
    learningRate: 1,
    coefficientMeans: [0, 0],
    imagesPerSecond: 12.34,
    secondsLeft: 125,
  };
}

const start: TrainEvent = {
  type: "start",
  objective: "entropy",
  tasks: ["a", "b"],
  groups: ["g"],
  steps: 40,
  trainableCoefficients: 2,
  examples: "images",
  imagesPerStep: 64,
  passesPerStep: 1,
};
const evaluation: TrainEvent = {
  type: "evaluation",
  step: 3,
  tasks: ["a", "b"],
  entropyNats: [1, 2],
  labelled: { accuracyPercent: [50, 75], averagePercent: 62.5, lossNats: [1, 3] },
  coefficients: [[0.3], [0.3]],
};
const end: TrainEvent = { type: "end", step: 40, reason: "finished", seconds: 3725 };

test("without a terminal: a line now and then, no control characters", () => {
  expect(show([start, step(1), step(2), step(3), evaluation, step(40), end], {}, true)).toBe(
    [
      "2 coefficients: 2 tasks x 1 groups; 40 steps of 64 images, minimising entropy (nats)",
      "step  1/40  loss 1.5000  12.3 images/s  2:05 left  a 1.000 b 0.500",
      "step  2/40  loss 1.5000  12.3 images/s  2:05 left  a 1.000 b 0.500",
      "a word",
      "step 3: accuracy 62.50 % (a 50.00, b 75.00)",
      "step 40/40  loss 1.5000  12.3 images/s  2:05 left  a 1.000 b 0.500",
      "finished after step 40, 1:02:05",
      "",
    ].join("\n"),
  );
});

test("on a terminal: one line, never wider than it, other lines above", () => {
  expect(show([start, step(1), step(2), end], { isTTY: true, columns: 30 })).toBe(
    [
      "2 coefficients: 2 tasks x 1 groups; 40 steps of 64 images, minimising entropy (nats)",
      "[step  1/40  loss 1.5000  12.3]",
      "[step  2/40  loss 1.5000  12.3]",
      "a word",
      "step  2/40  loss 1.5000  12.3",
      "[]",
      "finished after step 40, 1:02:05",
      "",
    ].join("\n"),
  );
});

test("an evaluation says how far it is from the first, with its tasks where they fit", () => {
  const later: TrainEvent = {
    ...evaluation,
    step: 20,
    labelled: { accuracyPercent: [52, 75], averagePercent: 63.5, lossNats: [1, 3] },
  };
  const narrow = show([start, evaluation, later], { isTTY: true, columns: 50 }).split("\n");
  expect(narrow.slice(1, 3)).toEqual([
    "step 3: accuracy 62.50 % (a 50.00, b 75.00)",
    "step 20: accuracy 63.50 %, +1.00 since the first",
  ]);
  expect(show([start, evaluation, later], {})).toContain("+1.00 since the first (a 52.00, b 75.00)");
});

describe("a piece of work", () => {
  const judging = { what: "judging ties", total: 400, unit: "texts" };
  const shown = (columns: number | undefined) => {
    let [now, text] = [0, ""];
    const add = (part: string) => {
      text += part;
    };
    const live = columns === undefined ? {} : { columns, isTTY: true, live: (line: string) => add(`[${line}]\n`) };
    const stream = { ...live, write: add };
    const view = createConsole({ stream, color: false, clock: () => now });
    const at = (ms: number, progress: Parameters<typeof view.progress>[0]) => {
      now = ms;
      view.progress(progress);
    };
    return { at, text: () => text };
  };

  test("has a bar, what is done and the time left, and goes away", () => {
    const { at, text } = shown(100);
    at(0, { ...judging, done: 0 });
    at(2000, { ...judging, done: 100 });
    at(9000, { ...judging, done: 400 });
    expect(text().split("\n")).toEqual([
      "[judging ties  [>                     ]  0 %  0 of 400 texts  0 s]",
      "[judging ties  [=====>                ]  25 %  100 of 400 texts  6 s left]",
      "[]",
      "",
    ]);
  });

  test("with a long name keeps a bar and all figures in 80 columns", () => {
    const { at, text } = shown(80);
    const what = "reading experiments/of-last-year/checkpoints/the-expert-on-medical-abstracts-final";
    at(0, { what, done: 0, total: 400, unit: "tensors" });
    at(2000, { what, done: 100, total: 400, unit: "tensors" });
    at(9000, { what, done: 400, total: 400 });
    expect(text().split("\n")[1]).toBe(
      "[reading experi...bstracts-final  [==>     ]  25 %  100 of 400 tensors  6 s left]",
    );
  });

  test("has no bar where there is no room, says how many others go on, and counts bytes as such", () => {
    const { at, text } = shown(50);
    at(0, { ...judging, done: 0 });
    at(2000, { ...judging, done: 100 });
    at(2000, { what: "reading", done: 0, total: 1 });
    at(3000, { ...judging, done: 400 });
    at(3000, { what: "reading", done: 1, total: 1 });
    at(3000, { what: "downloading", done: 1e9, total: 4e9, unit: "bytes" });
    at(5000, { what: "downloading", done: 2e9, total: 4e9, unit: "bytes" });
    expect(text().split("\n").slice(1, -1)).toEqual([
      "[judging ties  25 %  100 of 400 texts  6 s left]",
      "[judging ties  25 %  100 of 400 texts  6 s left]",
      "[reading  1 s]",
      "[]",
      "[downloading  25 %  1.00 GB of 4.00 GB  0 s]",
      "[downloading  50 %  2.00 GB of 4.00 GB  500 MB/s  ]",
    ]);
    expect(
      text()
        .split("\n")
        .every((line) => line.length <= 51),
    ).toBe(true);
  });

  test("in a log it is told of when it has gone on for ten seconds, and again", () => {
    const { at, text } = shown(undefined);
    for (const second of [0, 5, 10, 15, 20]) at(1000 * second, { ...judging, done: 10 * second });
    at(30_000, { ...judging, done: 400 });
    expect(text()).toBe(
      "judging ties: 25 %, 100 of 400 texts, 30 s left\njudging ties: 50 %, 200 of 400 texts, 20 s left\n",
    );
  });
});

test("colour only on a terminal that wants it", () => {
  expect(show([evaluation], { isTTY: true }, true)).toContain("\u001b[1m");
  expect(show([evaluation], { isTTY: true }, false)).not.toContain("\u001b[1m");
});
