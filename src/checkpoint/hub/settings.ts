/**
 * Where the hub is, where its cache is and who asks, by the environment variables of Hugging Face's own tools, so that one setting
 * serves both: HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE and the older names they still read.
 * The environment is passed in.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ConfigError } from "../../errors.js";
import { shownAddress } from "../../runtime/credentials.js";

const DEFAULT_ENDPOINT = "https://huggingface.co";

/** Where the Hugging Face hub and its cache are, and what is sent there. */
export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** The folder of `models--org--name` and the like; absolute. */
  readonly cacheDir: string;
  /** From the environment; goes before the file. */
  readonly token: string | undefined;
  /** File of the token that `hf auth login` keeps; undefined when tokens are only sent if asked for. */
  readonly tokenPath: string | undefined;
  /** Only the cache is used. */
  readonly offline: boolean;
}

export interface HubSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For `~` and the default cache. */
  readonly homeDir: string;
  /** For relative paths. */
  readonly cwd: string;
}

/** The settings an environment asks for. Throws ConfigError for an endpoint or a token that cannot be one. */
export function hubSettings({ env, homeDir, cwd }: HubSurroundings): HubSettings {
  const absolute = (path: string) =>
    resolve(cwd, path === "~" || path.startsWith("~/") ? join(homeDir, path.slice(1)) : path);
  const home = absolute(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homeDir, ".cache"), "huggingface"));
  const token = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  const isSilent = isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN);
  return {
    endpoint: endpointOf(env.HF_ENDPOINT || DEFAULT_ENDPOINT),
    cacheDir: absolute(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub")),
    token: token && !isSilent ? cleanToken(token, "HF_TOKEN") : undefined,
    tokenPath: isSilent ? undefined : absolute(env.HF_TOKEN_PATH || join(home, "token")),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
  };
}

/** The token to send, if there is one. Throws ConfigError for a file that holds none. */
export async function readToken({ token, tokenPath }: HubSettings): Promise<string | undefined> {
  if (token !== undefined || tokenPath === undefined) return token;
  const text = await readFile(tokenPath, "utf8").catch(() => "");
  return text.trim() === "" ? undefined : cleanToken(text, tokenPath);
}

/** A token goes into a header: visible ASCII only. The message does not show it. */
function cleanToken(text: string, where: string): string | undefined {
  const token = text.trim();
  if (token === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new ConfigError(`${where}: expected an access token of the hub (one word of ASCII), found other characters`);
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (url !== undefined && isWeb && url.username === "" && url.search === "" && url.hash === "")
    return text.replace(/\/+$/, "");
  throw new ConfigError(
    `HF_ENDPOINT: expected the address of a hub such as ${DEFAULT_ENDPOINT}, without a user in it, found ${shownAddress(text)}`,
  );
}

/** As Hugging Face's tools read switches. */
function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());
}
