/** What a reader of a run must be told besides its numbers: how a rule ended it, and which tasks' predictions have collapsed. */

import type { RunConfig } from "../config/schema.js";
import { STOPPING_TITLES } from "../config/stopping.js";
import { collapseText } from "../optimize/predicted-classes.js";
import { stoppingText } from "../optimize/stopping.js";
import type { Summary } from "./summary.js";

/** Sentences without a full stop. */
export function noticesOf(
  { stopping, collapsed = [] }: Pick<Summary, "stopping" | "collapsed">,
  { stopping: { rule, patience } }: Pick<RunConfig, "stopping">,
): string[] {
  return [
    ...(stopping === undefined || rule === "none" ? [] : [stoppingText(stopping, STOPPING_TITLES[rule], patience)]),
    ...collapsed.map(collapseText),
  ];
}
