/** Rows and gains of a run's summary.json, which trackers and reports both read: their form, and the names of rows that others are read against. */
import { z } from "zod";

/** The simplest merge, which gains are over. */
export const AVERAGING = "weight_averaging";
/** The model of a fit before its first step. */
export const START = "start";
/** Each expert on its own task. */
export const EXPERTS = "individual";

/** JSON has no NaN: a mean over nothing is null in the file. */
export const number = z.number().or(z.null().transform(() => Number.NaN));

export const resultRowSchema = z.object({
  method: z.string(),
  measure: z.literal("entropy_nats").exactOptional(),
  average: number,
  tasks: z.record(z.string(), number),
});

/** What learned models gain over others, in points, with the 95 % interval. Runs of earlier versions have those over averaging alone, and do not say so. */
export const gainsSchema = z.array(
  z.object({
    method: z.string(),
    over: z.string().default(AVERAGING),
    points: z.number(),
    interval: z.tuple([z.number(), z.number()]),
  }),
);
