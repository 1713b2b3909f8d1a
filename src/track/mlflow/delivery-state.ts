/** How far the delivery of a run to a server is: `mlflow.json` in the run's folder. */
import path from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { splitAddress } from "../../runtime/credentials.js";
import { readJsonFileIfThere } from "../../runtime/json-file.js";

const STATE_FILE = "mlflow.json";

const stateSchema = z.object({
  uri: z.string(),
  experimentId: z.string(),
  runId: z.string(),
  artifactUri: z.string(),
  /** Params and tags are on the server. */
  described: z.boolean(),
  /** The last step whose points of each kind are on the server. */
  lastStep: z.int(),
  lastEvaluation: z.int(),
  lastTimestamp: z.number(),
  /** SHA-256 of each delivered file. */
  artifacts: z.record(z.string(), z.string()),
  /** The model on the server has all its files. */
  modelReady: z.boolean(),
  // What follows is not in files of earlier versions.
  /** The time that the last evaluation's points have there. */
  evaluationTimestamp: z.number().default(0),
  /** Its data sets are on the server, or cannot be. */
  inputs: z.boolean().default(false),
  /** The run that it is a part of, as the server was told. */
  parent: z.string().nullable().default(null),
  /** Baselines and gains are on the server. */
  compared: z.boolean().default(false),
  /** The description that was sent. */
  description: z.string().nullable().default(null),
  model: z.object({ modelId: z.string().exactOptional(), source: z.string().exactOptional() }).default({}),
  /** Name and version in the registry. */
  registered: z.string().nullable().default(null),
});
export type DeliveryState = z.output<typeof stateSchema>;

/** Nothing of a run is there yet. */
export function newState(
  run: Pick<DeliveryState, "uri" | "experimentId" | "runId" | "artifactUri" | "parent">,
): DeliveryState {
  const points = { lastStep: -1, lastEvaluation: -1, lastTimestamp: 0 };
  return stateSchema.parse({ ...run, ...points, described: false, artifacts: {}, modelReady: false });
}

/** How far the delivery to this server is; another server begins anew. */
export async function readState(folder: string, uri: string): Promise<DeliveryState | undefined> {
  const state = await readJsonFileIfThere(path.join(folder, STATE_FILE), {
    what: "how far the run is delivered",
    schema: stateSchema,
    advice: "delete it, and the server is asked which run it has; points that it has are sent again",
  });
  if (state === undefined) return undefined;
  // Earlier versions kept a user and password that were in the address.
  const server = splitAddress(state.uri).url;
  return server === splitAddress(uri).url ? { ...state, uri: server } : undefined;
}

export async function writeState(folder: string, state: DeliveryState): Promise<void> {
  await writeFileAtomic(path.join(folder, STATE_FILE), `${JSON.stringify(state, undefined, 2)}\n`);
}
