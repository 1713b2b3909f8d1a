/** An objective from outside the package, which nothing has checked before: its fields are looked at here, and so is the loss that it computes. */
import { z } from "zod";
import { ConfigError } from "../errors.js";
import type { OutsideObjective } from "./objectives.js";

const text = z.string().min(1, "expected a text, found an empty one");

const shape = {
  name: z.string().regex(/^[a-z][a-z0-9_]*$/, "expected small letters, digits and _"),
  title: text,
  prefix: z.string().exactOptional(),
  suffix: z.string().exactOptional(),
  label: text,
  unit: z.literal("nats").nullable(),
  paper: z.string(),
  targets: z.enum(["none", "labels", "expert", "expert_features"]),
  loss: z.custom((value) => typeof value === "function", "expected a function"),
} satisfies Record<keyof OutsideObjective, z.ZodType>;

/** The objective, which throws ConfigError for a loss that is no scalar. Throws ConfigError for what is no objective. */
export function checkedObjective(found: unknown): OutsideObjective {
  const parsed = z.strictObject(shape).safeParse(found);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `${path.map(String).join(".") || "objective"}: ${message}`,
    );
    throw new ConfigError(`addObjective: ${problems.join("; ")}. docs/library.md has an example`);
  }
  // The boundary: its function is what it says it is, or what it returns is refused below.
  const own = found as OutsideObjective;
  return {
    ...own,
    loss: (logitsBC, options, targetsBC) => {
      const loss = own.loss(logitsBC, options, targetsBC);
      if (loss?.shape?.length === 0) return loss;
      throw new ConfigError(
        `objective ${own.name}: loss: expected a scalar tensor, the mean over the batch, found ${loss?.shape === undefined ? typeof loss : `shape [${loss.shape.join(", ")}]`}`,
      );
    },
  };
}
