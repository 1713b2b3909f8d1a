/** What does not go with where task vectors are counted from is refused before any work, by name. */
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";

const parse = (task_vectors: object, more: object = {}) => parseRunConfig({ suite: "x", task_vectors, ...more });

describe("task_vectors.origin", () => {
  it("is the base unless another is asked for", () => {
    expect(parse({}).task_vectors.origin).toBe("pretrained");
  });

  it.each(["consensus", "iso_cts", "svc", "pcb"])(
    "average does not go with %s, which looks at the sum",
    (processing) => {
      expect(() => parse({ origin: "average", processing })).toThrow(
        /task_vectors\.processing: expected none, ties, tsv, knots or cart with origin average, found \w+, .* it is 0/,
      );
      expect(() => parse({ processing })).not.toThrow();
    },
  );

  it.each(["none", "ties", "tsv", "knots", "cart"])("average goes with %s", (processing) => {
    expect(parse({ origin: "average", processing }).task_vectors).toMatchObject({ origin: "average", processing });
  });

  it("pretrained does not go with cart", () => {
    expect(() => parse({ processing: "cart" })).toThrow(
      /task_vectors\.origin: expected average with processing cart, whose task vectors are, found pretrained/,
    );
  });

  it("average changes nothing where coefficients sum to 1, and is refused there", () => {
    const softmax = { coefficients: { constraint: "softmax" } };
    expect(() => parse({ origin: "average" }, softmax)).toThrow(
      /task_vectors\.origin: expected pretrained with coefficients\.constraint softmax, found average/,
    );
    expect(() => parse({ origin: "average", processing: "tsv" }, softmax)).not.toThrow();
    expect(() => parse({}, softmax)).not.toThrow();
  });
});
