/** The output of verbs that write one model: there is no place for it by default. */
import { ConfigError } from "../errors.js";
import type { Work } from "./work-options.js";

/** Absolute. Throws ConfigError when it was left out. */
export function requiredOutput({ output }: Work, verb: string): string {
  if (output !== undefined) return output;
  throw new ConfigError(`${verb}: expected output, the new folder of the merged model, found none`);
}
