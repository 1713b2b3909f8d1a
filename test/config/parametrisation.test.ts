/** What of a config does not go with learning outside the graph is refused before any work, by name. */
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";
import { PARAMETRISATION_NAMES } from "../../src/config/parametrisation.js";

describe.each(PARAMETRISATION_NAMES.filter((name) => name !== "scalar"))("parametrisation %s", (parametrisation) => {
  it.each([
    [{ granularity: "task-wise" }, /granularity: expected layer-wise with parametrisation \w+, found task-wise; set/],
    [{ coefficients: { constraint: "softmax" } }, /coefficients.constraint: expected clamp or none.*found softmax/],
    [{ coefficients: { restart_every: 5 } }, /coefficients.restart_every: expected 0 with parametrisation.*found 5/],
    [{ data: { gradient_images: 8 } }, /data.gradient_images: expected 0 with parametrisation \w+, found 8/],
  ])("refuses %o", (settings, message) => {
    expect(() => parseRunConfig({ suite: "x", parametrisation, ...settings })).toThrow(message);
    expect(() => parseRunConfig({ suite: "x", ...settings })).not.toThrow();
  });
});

it("refuses other names and ranks", () => {
  expect(() => parseRunConfig({ suite: "x", parametrisation: "row_columns" })).toThrow(/parametrisation/);
  expect(() => parseRunConfig({ suite: "x", parametrisation_rank: 0 })).toThrow(/parametrisation_rank/);
});
