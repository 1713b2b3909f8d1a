/** From plans to files: downloads what is missing or, offline, says what would have to be downloaded. */
import { HubError } from "../../errors.js";
import { shownReference } from "./reference.js";
import type { Hub } from "./request.js";
import { fetchSnapshots, isComplete, type SnapshotPlan, type SnapshotRequest } from "./snapshot.js";

/** Downloads what plans lack. Throws HubError when, offline, something is missing. */
export async function fetchPlanned(hub: Hub, plans: readonly SnapshotPlan[]): Promise<void> {
  const lacking = plans.filter((plan) => !isComplete(plan));
  if (lacking.length === 0) return;
  if (hub.offline) throw notCached(hub, lacking);
  await fetchSnapshots(hub, lacking);
}

function notCached({ cacheDir }: Hub, plans: readonly SnapshotPlan[]): HubError {
  const lines = plans.map(({ reference, absent, files }) => {
    const missing = [...absent, ...files.filter(({ ready }) => !ready).map(({ name }) => name)];
    return `${shownReference(reference)}: ${missing.join(", ")}`;
  });
  return new HubError(
    `offline: expected in ${cacheDir}, found none of:\n${lines.join("\n")}\nGo online (without --offline and HF_HUB_OFFLINE), or fill that cache elsewhere with \`adamerge pull\``,
  );
}

/** The hub. Throws HubError with the repositories that are asked for when there is no connection to one. */
export function requireHub(hub: Hub | undefined, requests: readonly Pick<SnapshotRequest, "reference">[]): Hub {
  if (hub !== undefined) return hub;
  const names = requests.map(({ reference }) => shownReference(reference));
  throw new HubError(`${names.join(", ")}: expected a connection to the hub for these repositories, found none`);
}
