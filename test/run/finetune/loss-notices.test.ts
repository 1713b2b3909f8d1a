/** What is said of an expert that is worse than what it began as. */
import { expect, it } from "vitest";
import { lossNotices } from "../../../src/run/finetune/finish-run.js";

it("is said where what is held out was judged better before", () => {
  const worse = { before: 78.05, held: 75.61, test: undefined };
  expect(lossNotices(worse, "last")).toEqual([
    expect.stringMatching(/78\.0 % of what is held out were right before, 75\.6 % are now; eval\.keep=best saves/),
  ]);
  expect(lossNotices(worse, "best")).toEqual([expect.stringMatching(/no step was better/)]);
  expect(lossNotices({ ...worse, held: 78.05 }, "last")).toEqual([]);
  expect(lossNotices({ ...worse, before: undefined }, "last")).toEqual([]);
});
