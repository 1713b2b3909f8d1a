import { expect, test } from "vitest";
import type { TrainEvent } from "../../src/optimize/events.js";
import { createConsole } from "../../src/track/console.js";

function show(events: readonly TrainEvent[], terminal: { isTTY?: boolean; columns?: number }, color = false): string {
  let text = "";
  const view = createConsole({ stream: { ...terminal, write: (part) => (text += part) }, color });
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
      "step  1/40  loss 1.5000  12.3 images/s  ETA 2:05  a 1.000 b 0.500",
      "step  2/40  loss 1.5000  12.3 images/s  ETA 2:05  a 1.000 b 0.500",
      "a word",
      "step 3: accuracy 62.50 % (a 50.00, b 75.00)",
      "step 40/40  loss 1.5000  12.3 images/s  ETA 2:05  a 1.000 b 0.500",
      "finished after step 40, 1:02:05",
      "",
    ].join("\n"),
  );
});

test("on a terminal: one line, never wider than it, other lines above", () => {
  const text = show([start, step(1), step(2), end], { isTTY: true, columns: 30 });
  const erase = "\r\u001b[2K";
  expect(text).toBe(
    "2 coefficients: 2 tasks x 1 groups; 40 steps of 64 images, minimising entropy (nats)\n" +
      `${erase}step  1/40  loss 1.5000  12.3${erase}step  2/40  loss 1.5000  12.3` +
      `${erase}a word\nstep  2/40  loss 1.5000  12.3\nfinished after step 40, 1:02:05\n`,
  );
});

test("colour only on a terminal that wants it", () => {
  expect(show([evaluation], { isTTY: true }, true)).toContain("\u001b[1m");
  expect(show([evaluation], { isTTY: true }, false)).not.toContain("\u001b[1m");
});
