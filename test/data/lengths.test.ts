import { expect, test } from "vitest";
import { paddedLength, usualLengths } from "../../src/data/lengths.js";

test("the usual lengths end with the model's longest", () => {
  expect(usualLengths(512)).toEqual([16, 32, 64, 128, 256, 512]);
  expect(usualLengths(500)).toEqual([16, 32, 64, 128, 256, 500]);
  expect(usualLengths(514)).toEqual([16, 32, 64, 128, 256, 512, 514]);
  expect(usualLengths(12)).toEqual([12]);
});

test("an example is padded to the smallest length that holds it, and one that none holds to the last", () => {
  const lengths = [16, 32, 64];
  expect([0, 1, 16, 17, 64, 65].map((needed) => paddedLength(lengths, needed))).toEqual([16, 16, 16, 32, 64, 64]);
});
