import { expect, it } from "vitest";
import { ConfigError } from "../../../src/errors.js";
import { chooseMethod } from "../../../src/run/judge/choose-method.js";

it("completes the settings of a method with its defaults", () => {
  expect(chooseMethod("ties", { density: 0.1 })).toMatchObject({
    kind: "merge",
    name: "ties",
    parameters: { density: 0.1, aggregation: "sum", scale: 0.3 },
  });
  expect(chooseMethod("individual")).toEqual({ kind: "reference", name: "individual" });
});

it.each([
  ["tie", {}, "method: expected the name of a training-free method, found tie. Did you mean ties?"],
  ["xyzzy", {}, "Known are pretrained, individual, multi_task, logit_ensemble, weight_averaging"],
  ["ties", { densty: 0.2 }, "method ties: unknown key `densty`; did you mean density?"],
  ["ties", { zzz: 0.2 }, "method ties: unknown key `zzz`; it has density, aggregation, scale"],
  ["ties", { density: 2 }, "method ties: density: expected a number <= 1, found 2"],
  ["pretrained", { scale: 1 }, "method pretrained: expected no settings, found scale"],
  ["weight_averaging", { scale: 1 }, "method weight_averaging: unknown key `scale`; it has none"],
])("%s %o", (name, settings, message) => {
  expect(() => chooseMethod(name, settings)).toThrow(ConfigError);
  expect(() => chooseMethod(name, settings)).toThrow(message);
});
