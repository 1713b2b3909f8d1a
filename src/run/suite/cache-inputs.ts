/** The caches as inputs: whatever a command reads may lie in them, so no result goes there. */
import type { Hub } from "../../checkpoint/hub/request.js";
import type { Input } from "../../runtime/output-place.js";

/** Our cache and the hub's, as far as they are known. */
export function cacheInputs({
  cacheDir,
  hub,
}: {
  readonly cacheDir?: string | undefined;
  readonly hub?: Pick<Hub, "cacheDir"> | undefined;
}): Input[] {
  return [
    ...(cacheDir === undefined ? [] : [{ path: cacheDir, what: "the cache" }]),
    ...(hub === undefined ? [] : [{ path: hub.cacheDir, what: "the cache of the Hugging Face hub" }]),
  ];
}
