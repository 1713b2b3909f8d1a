/**
 * The run that stands for a sweep on an MLflow server: its trials name it as their parent, so that MLflow shows them nested. Found again by
 * its key when a sweep goes on.
 */
import { isProxied, type MlflowClient, type MlflowRun, type MlflowText } from "./client.js";
import { DESCRIPTION, RUN_KEY_TAG } from "./delivery.js";

export interface ParentRun {
  readonly experiment: string;
  readonly name: string;
  /** The same for the same sweep. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly user: string | undefined;
}

/** The sweep's run, made when there is none. Throws TrackerError. */
export async function openParent(
  client: MlflowClient,
  { experiment, name, key, started, user }: ParentRun,
): Promise<MlflowRun> {
  const experimentId = await client.experimentId(experiment);
  const tag: MlflowText = { key: RUN_KEY_TAG, value: key };
  const [known] = await client.findRuns(experimentId, tag);
  if (known !== undefined) {
    await client.updateRun(known.runId, { status: "RUNNING" });
    return known;
  }
  return client.createRun({
    experimentId,
    name,
    startTime: started,
    tags: [
      tag,
      { key: "mlflow.runName", value: name },
      { key: "mlflow.source.name", value: "adamerge sweep" },
      { key: "mlflow.source.type", value: "LOCAL" },
      ...(user === undefined ? [] : [{ key: "mlflow.user", value: user }]),
    ],
  });
}

/** How descriptions of sweeps begin: by this they are known again. */
export const SWEEP_TITLE = "**Sweep**";

export interface ParentEnd {
  /** FAILED when all trials have. */
  readonly status: "FINISHED" | "FAILED" | "KILLED";
  readonly ended: number;
  /** What was swept, and the best trial with its settings. */
  readonly tags: readonly MlflowText[];
  /** Markdown that begins with SWEEP_TITLE. */
  readonly description: string;
  /** Of the best trial. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Says how the sweep ended, with the best trial's figures and the sweep's files. Throws TrackerError. */
export async function closeParent(
  client: MlflowClient,
  { runId, artifactUri }: MlflowRun,
  end: ParentEnd,
): Promise<void> {
  const metrics = Object.entries(end.metrics).map(([key, value]) => ({ key, value, timestamp: end.ended, step: 0 }));
  // What a person has written there stays.
  const there = (await client.tagOf(runId, DESCRIPTION)) ?? "";
  const isOurs = there === "" || there.startsWith(SWEEP_TITLE);
  const description = isOurs ? [{ key: DESCRIPTION, value: end.description }] : [];
  await client.log(runId, { metrics, tags: [...end.tags, ...description] });
  if (isProxied(artifactUri))
    for (const { name, bytes } of end.files) await client.uploadArtifact(artifactUri, name, bytes);
  await client.updateRun(runId, { status: end.status, endTime: end.ended });
}
