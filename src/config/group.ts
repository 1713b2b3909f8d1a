/** A named group of tensors, as `groups` of a config lists them. */
import { z } from "zod";

export const group = z
  .strictObject({
    name: z.string().min(1).describe("Name of the group, shown in coefficients.json"),
    match: z.array(z.string().min(1)).min(1).describe("Glob patterns over tensor names, e.g. *.mlp.*"),
  })
  .describe("One named group of tensors that share a coefficient per task");
