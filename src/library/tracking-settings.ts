/** The MLflow server that runs are delivered to, with the credentials and settings that MLflow's own clients read from the environment. */
import { userInfo } from "node:os";
import path from "node:path";
import { ConfigError } from "../errors.js";
import type { Tracking } from "../run/records/tracking.js";
import { splitAddress } from "../runtime/credentials.js";
import type { Surroundings } from "./surroundings.js";

/**
 * A server with the credentials that MLflow's own clients read from the environment; those in its address go before them, as there.
 * @throws ConfigError for a token that cannot be one
 */
export function trackingOf({ env, cwd }: Pick<Surroundings, "env" | "cwd">, uri: string): Tracking {
  const { url, ...inAddress } = splitAddress(uri);
  const fromNames = { username: env.MLFLOW_TRACKING_USERNAME, password: env.MLFLOW_TRACKING_PASSWORD };
  return {
    uri: url,
    ...(inAddress.username === undefined
      ? { ...fromNames, token: trackingToken(env.MLFLOW_TRACKING_TOKEN) }
      : { username: inAddress.username, password: inAddress.password }),
    // A server that keeps its artifacts in directories is told through its clients where; they write only below this.
    artifactRoot: env.ADAMERGE_ARTIFACT_ROOT ? path.resolve(cwd, env.ADAMERGE_ARTIFACT_ROOT) : undefined,
    experiment: env.MLFLOW_EXPERIMENT_NAME || null,
    withModel: false,
    user: userName(env),
  };
}

/** As MLflow's own clients find it out (Python's getpass.getuser). */
function userName(env: Surroundings["env"]): string | undefined {
  const named = env.LOGNAME || env.USER || env.LNAME || env.USERNAME;
  if (named) return named;
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in passwd.
    return undefined;
  }
}

/** A token goes into a header: visible ASCII only. The message does not show it. */
function trackingToken(text: string | undefined): string | undefined {
  const token = text?.trim();
  if (token === undefined || token === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new ConfigError("MLFLOW_TRACKING_TOKEN: expected a token (one word of ASCII), found other characters");
}
