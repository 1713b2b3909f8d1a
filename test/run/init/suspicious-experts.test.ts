/** What `init` says of experts from which nothing can be merged. */
import { expect, it } from "vitest";
import { type ExpertFacts, suspiciousExperts } from "../../../src/run/init/expert-facts.js";

const judged = (name: string, expert: number, base: number, constant: number): ExpertFacts => ({
  ...{ name, tensors: 2, equal: 0, fromBase: 0, distance: 0.01 },
  accuracyPercent: { expert, base, constant },
});

it("doubts experts at the level of a constant answer, and those below the base; not others", () => {
  const unjudged = { ...judged("unjudged", 0, 0, 0), accuracyPercent: undefined };
  const facts = [judged("wrong", 30, 35, 25), judged("weak", 64.6, 68.3, 37), judged("good", 80, 80, 20), unjudged];
  const [wrong, weak, ...others] = suspiciousExperts(facts, "text");
  expect(wrong).toMatch(
    /^the expert of wrong .* 30\.0 % of its own texts, a constant answer on 25\.0 %: .*--classes wrong=FILE/,
  );
  expect(weak).toMatch(
    /^the expert of weak .* 64\.6 % of its own texts, the base with that head on 68\.3 %: .*train it longer/,
  );
  expect(others).toEqual([]);
});
