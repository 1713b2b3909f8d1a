/** Successive halving: who goes on, that nobody is asked for twice, and that the best of independent trials wins. */
import { describe, expect, it } from "vitest";
import { nextTrial, rungsOf, type TrialProgress } from "../../../src/experiment/sweep/schedule.js";

describe("rungs", () => {
  it.each([
    [100, undefined, [100]],
    [81, { first_steps: 3, factor: 3 }, [3, 9, 27, 81]],
    [100, { first_steps: 3, factor: 3 }, [3, 9, 27, 81, 100]],
    [10, { first_steps: 20, factor: 2 }, [10]],
  ])("of %i steps with %o", (steps, halving, expected) => {
    expect(rungsOf(steps, halving)).toEqual(expected);
  });
});

/** Runs the schedule one job at a time; the score of trial t at rung r is `score(t, r)`. Returns the jobs in order. */
function simulate(
  trials: number,
  rungs: readonly number[],
  factor: number,
  score: (trial: number, rung: number) => number,
) {
  const progress = Array.from({ length: trials }, () => ({ scores: [] as number[], isTaken: false }));
  const jobs: string[] = [];
  for (;;) {
    const job = nextTrial(progress, rungs, factor);
    if (job === undefined) return { jobs, progress };
    const trial = progress[job.trial];
    expect(trial?.scores.length).toBe(job.rung);
    trial?.scores.push(score(job.trial, job.rung));
    jobs.push(`${job.trial}@${job.rung}`);
    expect(jobs.length).toBeLessThan(1000);
  }
}

describe("next trial", () => {
  it("without halving every trial runs once, in order", () => {
    expect(simulate(3, [10], 2, () => 1).jobs).toEqual(["0@0", "1@0", "2@0"]);
  });

  it("promotes as soon as a trial is in the best third of its rung (algorithm 2 of the paper)", () => {
    // Scores 0, 1, 2, ...: of three the last is best and goes on at once.
    const { jobs } = simulate(9, [1, 3, 9], 3, (trial) => trial);
    expect(jobs.slice(0, 5)).toEqual(["0@0", "1@0", "2@0", "2@1", "3@0"]);
    expect(jobs.filter((job) => job.endsWith("@1"))).toHaveLength(7);
    expect(jobs).toContain("8@2");
  });

  it("when the first are the best, one of three goes on at each rung", () => {
    const { progress } = simulate(27, [1, 3, 9, 27], 3, (trial) => -trial);
    const reached = (rung: number) => progress.filter(({ scores }) => scores.length > rung).length;
    expect([0, 1, 2, 3].map(reached)).toEqual([27, 9, 3, 1]);
    expect(progress[0]?.scores).toHaveLength(4);
  });

  it("gives out neither what is under way nor what has failed", () => {
    const trials: TrialProgress[] = [
      { scores: [3], isTaken: true },
      { scores: [2], isTaken: false },
      { scores: [], isTaken: true },
    ];
    expect(nextTrial(trials, [1, 2], 2)).toBeUndefined();
    expect(nextTrial([...trials, { scores: [], isTaken: false }], [1, 2], 2)).toEqual({ trial: 3, rung: 0 });
  });
});
