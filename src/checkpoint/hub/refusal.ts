/**
 * What the hub means by refusing, in one line that says what to do. It answers 401 both for private repositories and for those that
 * do not exist, so as not to tell which; headers tell more where they are there.
 */
import { HubError } from "../../errors.js";
import type { HubSettings } from "./settings.js";

interface Refused {
  readonly what: string;
  readonly page: string;
}

/** The error of a refused question; `token` is what was sent. The token itself is never shown. */
export function refusal(
  { status, headers }: { readonly status: number; readonly headers: Headers },
  { what, page }: Refused,
  settings: HubSettings,
  token: string | undefined,
): HubError {
  const code = headers.get("x-error-code") ?? "";
  const sender = settings.token === undefined ? (settings.tokenPath ?? "") : "HF_TOKEN";
  if (code === "GatedRepo")
    return new HubError(
      token === undefined
        ? `${what}: access must be asked for on ${page}; then set HF_TOKEN to a token of that account`
        : `${what}: the account of the token in ${sender} has no access; ask for it on ${page}`,
    );
  if (code === "RevisionNotFound")
    return new HubError(`${what}: there is no such revision; check the branch, tag or commit behind the @`);
  if (code === "EntryNotFound") return new HubError(`${what}: there is no such file at this revision`);
  if (code === "DisabledRepo") return new HubError(`${what}: the hub has disabled this repository`);
  if (status === 404 || status === 401 || code === "RepoNotFound")
    return new HubError(
      token === undefined
        ? `${what}: there is no such repository on ${settings.endpoint}, or it is private; check the name, and for a private one set HF_TOKEN`
        : `${what}: there is no such repository on ${settings.endpoint}, or the token in ${sender} may not read it; check the name and the token`,
    );
  if (status === 403)
    return new HubError(
      token === undefined
        ? `${what}: the hub refuses access (403); set HF_TOKEN to a token that may read it`
        : `${what}: the hub refuses access (403); check that the token in ${sender} may read it`,
    );
  return new HubError(`${what}: expected an answer of the hub, found status ${status} from ${settings.endpoint}`);
}
