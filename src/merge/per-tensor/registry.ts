/** All methods that merge each tensor by itself, by name. A new one is a definition beside these and a line here. */
import { linear, slerp } from "./average.js";
import { dareLinear, dareTies, taskArithmetic, ties } from "./task-vectors.js";
import type { TensorMethod } from "./tensor-method.js";

export const tensorMethods: ReadonlyMap<string, TensorMethod> = new Map(
  [linear, slerp, taskArithmetic, ties, dareLinear, dareTies].map((method) => [method.name, method]),
);
