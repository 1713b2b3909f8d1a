/** What verbs that use several processes need to know before they start them. */
import { ConfigError } from "../errors.js";
import { extensions } from "../runtime/extensions.js";
import type { LightWork } from "./work-options.js";

/** Throws ConfigError unless it is a whole number from 1. */
export function requireJobs(jobs: number, { optionName }: Pick<LightWork, "optionName">): void {
  if (Number.isInteger(jobs) && jobs >= 1) return;
  throw new ConfigError(`${optionName("jobs")}: expected a whole number from 1, found ${jobs}`);
}

/** Throws ConfigError for an extension that a program added itself: other processes load modules, and have nothing else of this one. */
export function requireHere(verb: string): void {
  const own = extensions().find(({ module }) => module === undefined);
  if (own === undefined) return;
  throw new ConfigError(
    `${verb}: expected extensions from modules, which its processes can load too, found the ${own.kind} ${own.name}, added by the program; put it into a file and name that with loadExtension`,
  );
}
