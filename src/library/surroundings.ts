/**
 * Where the process is, whose home it has and what its environment says: what the library falls back on where a program says nothing. The one file
 * outside `cli/` that looks at the process, and only when a verb is called. Works also where there is neither: a deleted working folder, a user
 * without an entry in passwd.
 */
import { userInfo } from "node:os";
import path from "node:path";

/** What verbs take from outside where their options do not say it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
}

/** What programs take for the home of users that have none; containers set it for users they do not know. */
const NO_HOME = "/";

/** Those of this process, now. */
export function processSurroundings(): Surroundings {
  return { env: process.env, cwd: workingDirectory(), homeDir: homeDirectory(process.env) };
}

/** `$HOME` when it is an absolute path, else what the system knows of the user, else `/`. */
export function homeDirectory(env: Surroundings["env"], known = systemHome): string {
  if (env.HOME && path.isAbsolute(env.HOME)) return env.HOME;
  try {
    return known() || NO_HOME;
  } catch {
    return NO_HOME;
  }
}

function systemHome(): string {
  return userInfo().homedir;
}

/** The working folder; after it was deleted the path it had, as the shell says it, so that what is made below it fails with that path. */
export function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return process.env.PWD ?? NO_HOME;
  }
}

/** `$ADAMERGE_CACHE`, else `$XDG_CACHE_HOME/adamerge`, else `~/.cache/adamerge`. */
export function cacheDirectory({ env, cwd, homeDir }: Surroundings): string {
  if (env.ADAMERGE_CACHE) return path.resolve(cwd, env.ADAMERGE_CACHE);
  // The XDG specification says to ignore a relative path.
  if (env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME)) return path.join(env.XDG_CACHE_HOME, "adamerge");
  return path.join(homeDir, ".cache", "adamerge");
}
