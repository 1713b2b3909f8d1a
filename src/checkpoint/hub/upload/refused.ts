/** What the hub means by refusing an upload, in one line that says what to do. The token itself is never shown. */
import { HubError } from "../../../errors.js";
import { printable } from "../../../runtime/printable.js";
import type { HubSettings } from "../settings.js";
import { UploadRefusal } from "./upload-fetch.js";

/** Characters of the hub's own words. */
const MAX_SAID = 300;

/** The error of a refused upload to `id`; what is none is returned as it is. */
export async function explainRefusal(
  error: unknown,
  id: string,
  { endpoint, token, tokenPath }: Pick<HubSettings, "endpoint" | "token" | "tokenPath">,
): Promise<unknown> {
  const { HubApiError, InvalidApiResponseFormatError } = await import("@huggingface/hub");
  // What the library says of single files in an answer.
  if (error instanceof HubApiError) return new HubError(`${id}: the hub refused a file: ${printable(error.message)}`);
  const isNoHub = [TypeError, SyntaxError, RangeError, InvalidApiResponseFormatError].some(
    (one) => error instanceof one,
  );
  if (error instanceof Error && isNoHub)
    return new HubError(
      `${id}: ${endpoint} cannot be reached, or does not answer as a hub does (${error.cause instanceof Error ? error.cause.message : error.message}). Check the network and HF_ENDPOINT; the same command sends only what is missing`,
      { cause: error },
    );
  if (!(error instanceof UploadRefusal)) return error;
  const { status, said } = error;
  const [namespace = ""] = id.split("/");
  const sender = token === undefined ? (tokenPath ?? "no token") : "HF_TOKEN or --token";
  const words = said === "" ? "" : `: ${printable(said.slice(0, MAX_SAID))}`;
  const because = (text: string) => new HubError(`${id}: ${text}`, { cause: error });
  if (status === 401)
    return because(
      `the hub does not accept the token (of ${sender}); make one with write access on ${endpoint}/settings/tokens`,
    );
  if (status === 403)
    return because(
      `the token (of ${sender}) may not write there (403${words}); it needs write access, and its account must be ${namespace} or a member of it that may write`,
    );
  if (status === 404)
    return because(`there is no such place on ${endpoint} (404${words}); check the name, ${namespace} above all`);
  if (status === 409) return because(`it exists, and the token (of ${sender}) may not see it; choose another name`);
  if (status === 412) return because("somebody changed it meanwhile; push again, which sends only what is missing");
  return because(`the hub refused the upload (${status}${words})`);
}
