/**
 * The merged model of a run on an MLflow server: on MLflow 3 a logged model of its own, which the registry and `models:/` URIs know;
 * on MLflow 2 files of the run. Formats: mlflow/protos/service.proto (LoggedModel), MLmodel as in mlflow/models/model.py.
 */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { architecturesOf } from "../../checkpoint/saved-config.js";
import { readText } from "../../runtime/regular-file.js";
import { type NotStored, storeArtifact, unreachableStore } from "./artifact-store.js";
import type { MlflowClient } from "./client.js";
import { filesBelow, MODEL_DIRECTORY, readArtifact } from "./run-data.js";

export interface ModelOfRun {
  readonly experimentId: string;
  readonly runId: string;
  /** Where the run's own artifacts are. */
  readonly artifactUri: string;
  readonly name: string;
  /** The last step of the fit that made it. */
  readonly step: number;
}

export interface DeliveredModel {
  readonly files: number;
  /** Whether nothing is left to deliver. */
  readonly isReady: boolean;
}

/** Sends the files of the run's model that the server lacks. Throws TrackerError. */
export async function deliverModel(
  folder: string,
  run: ModelOfRun,
  { client, log }: { readonly client: MlflowClient; readonly log: (line: string) => void },
): Promise<DeliveredModel> {
  const names = await filesBelow(folder, MODEL_DIRECTORY);
  if (names.length === 0) {
    log(`${folder}: no ${MODEL_DIRECTORY}/ to deliver; save_model was off, or the fit did not end`);
    return { files: 0, isReady: false };
  }
  const model = await client.model(run);
  if (model?.isReady) return { files: 0, isReady: true };
  const artifactUri = model?.artifactUri ?? run.artifactUri;
  const nameThere = (name: string) => (model === undefined ? name : path.posix.relative(MODEL_DIRECTORY, name));
  for (const name of names) {
    const why = await storeArtifact(client, artifactUri, nameThere(name), await readArtifact(folder, name));
    if (why === undefined) continue;
    log(unreachableStore(artifactUri, folder, why));
    return { files: 0, isReady: false };
  }
  if (model === undefined) return { files: names.length, isReady: true };
  // The time of the model, not of now: delivered once more it is the same file.
  const { mtime } = await stat(path.join(folder, names[0] ?? MODEL_DIRECTORY));
  const ids = { modelId: model.modelId, runId: run.runId, created: mtime.toISOString() };
  const why = await storeDescription(client, artifactUri, { ...ids, transformersClass: await classOf(folder) });
  if (why !== undefined) {
    log(unreachableStore(artifactUri, folder, why));
    return { files: names.length, isReady: false };
  }
  await client.finishModel(model.modelId, run.runId, run.step);
  return { files: names.length + 1, isReady: true };
}

/** The class of transformers that the model's config.json names. */
async function classOf(folder: string): Promise<string | undefined> {
  const file = path.join(folder, MODEL_DIRECTORY, "config.json");
  return architecturesOf(parseConfig(await readText(file, "a config.json", MAX_CONFIG_BYTES), file))[0];
}

/** The file that makes a directory a model to MLflow. The flavor is ours: what lies there is what transformers' from_pretrained reads. */
async function storeDescription(
  client: MlflowClient,
  artifactUri: string,
  ids: {
    readonly modelId: string;
    readonly runId: string;
    readonly created: string;
    readonly transformersClass: string | undefined;
  },
): Promise<NotStored> {
  const text = stringify({
    artifact_path: artifactUri,
    flavors: { adamerge: { data: ".", format: "safetensors", transformers_class: ids.transformersClass } },
    model_id: ids.modelId,
    model_uuid: ids.modelId,
    run_id: ids.runId,
    utc_time_created: ids.created.replace("T", " ").replace("Z", ""),
  });
  const scratch = await mkdtemp(path.join(tmpdir(), "adamerge-"));
  try {
    const file = path.join(scratch, "MLmodel");
    await writeFile(file, text);
    return await storeArtifact(client, artifactUri, "MLmodel", { path: file, bytes: Buffer.byteLength(text) });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
