/**
 * The model of a run on an MLflow server: on MLflow 3 a logged model of its own, which the registry and `models:/` URIs know; on MLflow 2
 * a model among the run's files. Either is loaded by mlflow.pyfunc and served (serving-files.ts), and registered where that was asked for.
 */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type NotStored, storeArtifact, unreachableStore } from "./artifact-store.js";
import type { MlflowClient, MlflowMetric, MlflowText } from "./client.js";
import { filesBelow, MODEL_DIRECTORY, readArtifact } from "./run-data.js";
import { servingFiles } from "./serving-files.js";

export interface ModelOfRun {
  readonly experimentId: string;
  readonly runId: string;
  /** Where the run's own artifacts are. */
  readonly artifactUri: string;
  readonly name: string;
  /** What the models of a server are sorted by. */
  readonly type: string;
  /** The last step of the run that made it. */
  readonly step: number;
  readonly params: readonly MlflowText[];
  readonly tags: readonly MlflowText[];
  /** What was measured of it, as the run's points have it. */
  readonly metrics: readonly MlflowMetric[];
  /** Whether its family is not one of the package. */
  readonly isOutside: boolean;
}

export interface DeliveredModel {
  readonly files: number;
  /** Whether nothing is left to deliver. */
  readonly isReady: boolean;
  /** The logged model, where the server has such. */
  readonly modelId?: string;
  /** Where its files are. */
  readonly source?: string;
}

interface Delivery {
  readonly client: MlflowClient;
  readonly log: (line: string) => void;
}

/** Sends the files of the run's model that the server lacks. Throws TrackerError. */
export async function deliverModel(folder: string, run: ModelOfRun, delivery: Delivery): Promise<DeliveredModel> {
  const { client, log } = delivery;
  const names = await filesBelow(folder, MODEL_DIRECTORY);
  if (names.length === 0) {
    log(`${folder}: no ${MODEL_DIRECTORY}/ to deliver; save_model was off, or the run did not end`);
    return { files: 0, isReady: false };
  }
  const model = await client.model(run);
  const source = model?.artifactUri ?? `${run.artifactUri}/${MODEL_DIRECTORY}`;
  const ids = { ...(model === undefined ? {} : { modelId: model.modelId }), source };
  if (model?.isReady) return { files: 0, isReady: true, ...ids };
  const own = names.map((name) => path.posix.relative(MODEL_DIRECTORY, name));
  for (const name of own) {
    const file = await readArtifact(path.join(folder, MODEL_DIRECTORY), name);
    const why = await storeArtifact(client, source, name, file);
    if (why === undefined) continue;
    log(unreachableStore(source, folder, why));
    return { files: 0, isReady: false };
  }
  // The time of the model, not of now: delivered once more it is the same file.
  const { mtime } = await stat(path.join(folder, names[0] ?? MODEL_DIRECTORY));
  const origin = { runId: run.runId, artifactUri: source, modelId: model?.modelId, created: mtime.toISOString() };
  const { description, files } = await servingFiles(path.join(folder, MODEL_DIRECTORY), origin, run.isOutside);
  for (const [name, text] of files) {
    const why = await storeText(client, source, name, text);
    if (why === undefined) continue;
    log(unreachableStore(source, folder, why));
    return { files: own.length, isReady: false };
  }
  if (model === undefined) await client.recordModel(run.runId, { ...description, artifact_path: MODEL_DIRECTORY });
  else {
    // The same points as the run's, which stores them once, now of the model too.
    await client.log(run.runId, { metrics: run.metrics.map((point) => ({ ...point, model_id: model.modelId })) });
    await client.finishModel(model.modelId, run.runId, run.step);
  }
  return { files: own.length + files.size, isReady: true, ...ids };
}

/** Registers a delivered model as a version of `name`, unless it is one. Its version; undefined where the server has no registry. Throws TrackerError. */
export async function registerModel(
  { runId, description }: { readonly runId: string; readonly description: string | null },
  name: string,
  { modelId, source }: DeliveredModel,
  { client, log }: Delivery,
): Promise<string | undefined> {
  if (source === undefined) return undefined;
  const version = await client.registeredVersion({ name, runId, source, modelId, description: description ?? "" });
  if (version === undefined) log(`mlflow: the server has no model registry; ${name} is not registered`);
  else log(`mlflow: registered as models:/${name}/${version}`);
  return version;
}

async function storeText(client: MlflowClient, artifactUri: string, name: string, text: string): Promise<NotStored> {
  const scratch = await mkdtemp(path.join(tmpdir(), "adamerge-"));
  try {
    const file = path.join(scratch, path.basename(name));
    await writeFile(file, text);
    return await storeArtifact(client, artifactUri, name, { path: file, bytes: Buffer.byteLength(text) });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
