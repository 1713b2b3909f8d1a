/** Where the process is and whose home it has, also where there is neither: a deleted working folder, a user without an entry in passwd. */
import { userInfo } from "node:os";
import path from "node:path";

/** What programs take for the home of users that have none; containers set it for users they do not know. */
const NO_HOME = "/";

/** `$HOME` when it is an absolute path, else what the system knows of the user, else `/`. */
export function homeDirectory(env: Readonly<Record<string, string | undefined>>, known = systemHome): string {
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
