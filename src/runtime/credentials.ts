/**
 * Keeps credentials out of text that leaves the program: errors, logs, what is stored in run folders and sent to servers. User and password in
 * addresses, secrets in query strings and tokens of the hub are told by their form; those that the environment gives are told by their value.
 */

/** `https://user:password@`, up to the last @ before the path; with one slash where the address was taken for a path. */
const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/]*@|([a-z][a-z0-9+.-]+:\/)[^\s/:]*:[^\s/]*@/gi;
/** Values in query strings: tokens, and the signatures of storage. */
const QUERY_SECRET = /([?&][\w.-]*(?:token|key|secret|passw|pwd|sig|auth|credential|policy)[\w.-]*=)[^&\s"'`#<>]+/gi;
const BEARER = /\b(Bearer\s+)[\w.~+/=-]{8,}/gi;
/** Access tokens of the Hugging Face hub, wherever somebody has put one. */
const HUB_TOKEN = /\bhf_[A-Za-z0-9]{16,}/g;
const HIDDEN = "***";

/** A text with everything in it hidden that looks like a credential. */
export function withoutCredentials(text: string): string {
  return text
    .replace(USER_INFO, `$1$2${HIDDEN}@`)
    .replace(QUERY_SECRET, `$1${HIDDEN}`)
    .replace(BEARER, `$1${HIDDEN}`)
    .replace(HUB_TOKEN, `hf_${HIDDEN}`);
}

/** A text that was given as an address and may be none: everything up to the last @ is hidden, and what is behind a question mark. */
export function shownAddress(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, `$1${HIDDEN}@`)
    .replace(/[?#].*$/s, (rest) => `${rest[0]}${HIDDEN}`);
}

export interface Address {
  /** Without user and password. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

/** An address and the user and password in it. A text that is no address is returned as it is. */
export function splitAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.username === "" && url.password === "")) return { url: text };
  const [username, password] = [decoded(url.username), decoded(url.password)];
  [url.username, url.password] = ["", ""];
  // A path is added where there was none: an address is given on as it was.
  const isBare = url.pathname === "/" && !text.endsWith("/");
  return { url: isBare ? url.href.replace(/\/(?=$|\?|#)/, "") : url.href, username, password };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Names of environment variables that hold secrets, by the words that Hugging Face, MLflow and clouds use. */
const SECRET_NAME = /TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|CREDENTIAL/i;
/** Shorter ones are words that a text may have by chance. */
const LEAST_SECRET = 8;

/** The values in an environment that no text may have: secrets by their names, and passwords in addresses. */
export function secretsIn(env: Readonly<Record<string, string | undefined>>): string[] {
  const secrets = Object.entries(env).flatMap(([name, value = ""]) => {
    const { username = "", password = "" } = splitAddress(value);
    const inAddress = [password, encodeURIComponent(password), ...(password === "" ? [username] : [])];
    // Text of several lines is shown line by line.
    return SECRET_NAME.test(name) ? [value, ...value.split(/\s+/), ...inAddress] : inAddress;
  });
  // Longer ones first: one may be part of another.
  return [...new Set(secrets)].filter(({ length }) => length >= LEAST_SECRET).toSorted((a, b) => b.length - a.length);
}

/** A text without any of the secrets. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), text);
}
