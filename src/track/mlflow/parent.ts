/**
 * The run that stands for a sweep on an MLflow server: its trials name it as their parent, so that MLflow shows them nested. Found again by
 * its key when a sweep goes on.
 */
import { isProxied, type MlflowClient, type MlflowRun, type MlflowText } from "./client.js";
import { RUN_KEY_TAG } from "./delivery.js";

export interface ParentRun {
  readonly experiment: string;
  readonly name: string;
  /** The same for the same sweep. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly started: number;
}

/** The sweep's run, made when there is none. Throws TrackerError. */
export async function openParent(
  client: MlflowClient,
  { experiment, name, key, started }: ParentRun,
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
    tags: [tag, { key: "mlflow.runName", value: name }],
  });
}

export interface ParentEnd {
  readonly status: "FINISHED" | "KILLED";
  readonly ended: number;
  readonly params: readonly MlflowText[];
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
  await client.log(runId, { metrics, tags: end.params.map(({ key, value }) => ({ key: `best.${key}`, value })) });
  if (isProxied(artifactUri))
    for (const { name, bytes } of end.files) await client.uploadArtifact(artifactUri, name, bytes);
  await client.updateRun(runId, { status: end.status, endTime: end.ended });
}
