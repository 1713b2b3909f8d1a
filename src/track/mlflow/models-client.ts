/**
 * What MLflow's REST API has for models: logged models (MLflow 3), their older record in a run (MLflow 2), and the registry. A server that lacks
 * a call is told from one that refuses it: what is lacking is undefined or false, never an error.
 * Source: mlflow/protos/service.proto (LoggedModel) and model_registry.proto.
 */
import { z } from "zod";
import { type Connection, isUnknownCall, type Reply, read, refused, UNKNOWN_CALL } from "./request.js";

/** A model as an entity of its own (MLflow 3). */
export interface MlflowModel {
  readonly modelId: string;
  readonly artifactUri: string;
  readonly isReady: boolean;
}

interface Text {
  readonly key: string;
  readonly value: string;
}

export interface NewModel {
  readonly experimentId: string;
  readonly runId: string;
  readonly name: string;
  readonly type: string;
  readonly params: readonly Text[];
  readonly tags: readonly Text[];
}

export interface NewVersion {
  /** Of the registered model. */
  readonly name: string;
  readonly runId: string;
  /** Where its files are. */
  readonly source: string;
  /** The logged model that it is, where the server has such. */
  readonly modelId: string | undefined;
  /** Markdown. */
  readonly description: string;
}

export interface ModelsClient {
  /** The model that came out of a run, created when it is not there; undefined from a server without models (MLflow 2). */
  model(model: NewModel): Promise<MlflowModel | undefined>;
  /** Says that all files of a model are there, and that the run made it. */
  finishModel(modelId: string, runId: string, step: number): Promise<void>;
  /** Says that a folder of a run's artifacts is a model, as MLflow 2 has it. */
  recordModel(runId: string, description: Readonly<Record<string, unknown>>): Promise<void>;
  /** The version of the registered model that is the run's, made when there is none; undefined from a server without a registry. */
  registeredVersion(version: NewVersion): Promise<string | undefined>;
}

/** mlflow/environment_variables.py: _MLFLOW_CREATE_LOGGED_MODEL_PARAMS_BATCH_SIZE. */
const MAX_PARAMS = 100;
const READY = "LOGGED_MODEL_READY";

const modelSchema = z.object({
  info: z.object({ model_id: z.string(), artifact_uri: z.string(), status: z.string() }),
});
/** A number to some servers. */
const versionSchema = z.object({ version: z.union([z.string(), z.number()]).transform(String) });

export function modelsClient({ ask, options }: Connection): ModelsClient {
  /** What a server answers that knows the call; undefined from others. */
  const known = (reply: Reply): Reply | undefined => {
    if (isUnknownCall(reply)) return undefined;
    if (reply.status >= 400) throw refused(options, reply);
    return reply;
  };
  return {
    async model({ experimentId, runId, name, type, params, tags }) {
      const search = { experiment_ids: [experimentId], filter: `source_run_id = '${runId}'`, max_results: 1 };
      const path = "logged-models/search";
      const reply = known(await ask("POST", path, search, UNKNOWN_CALL));
      if (reply === undefined) return undefined;
      const [found] = read(z.object({ models: z.array(modelSchema).optional() }), reply.body, path).models ?? [];
      if (found !== undefined) return modelOf(found);
      const wanted = { experiment_id: experimentId, source_run_id: runId, name, model_type: type };
      const created = await ask("POST", "logged-models", { ...wanted, params: params.slice(0, MAX_PARAMS), tags });
      return modelOf(read(z.object({ model: modelSchema }), created.body, "logged-models").model);
    },
    async finishModel(modelId, runId, step) {
      await ask("PATCH", `logged-models/${modelId}`, { model_id: modelId, status: READY });
      await ask("POST", "runs/outputs", { run_id: runId, models: [{ model_id: modelId, step }] });
    },
    async recordModel(runId, description) {
      const record = { run_id: runId, model_json: JSON.stringify(description) };
      known(await ask("POST", "runs/log-model", record, UNKNOWN_CALL));
    },
    async registeredVersion({ name, runId, source, modelId, description }) {
      // 400: it is there. What else may be wrong with the name, the next call says.
      const made = await ask("POST", "registered-models/create", { name }, [...UNKNOWN_CALL, 400]);
      if (made.status !== 400 && known(made) === undefined) return undefined;
      const filter = encodeURIComponent(`name='${name.replaceAll("'", "")}' and run_id='${runId}'`);
      const path = `model-versions/search?max_results=1&filter=${filter}`;
      const found = known(await ask("GET", path, undefined, UNKNOWN_CALL));
      const schema = z.object({ model_versions: z.array(versionSchema).optional() });
      const [before] = found === undefined ? [] : (read(schema, found.body, path).model_versions ?? []);
      if (before !== undefined) return before.version;
      const version = {
        name,
        source,
        run_id: runId,
        description,
        ...(modelId === undefined ? {} : { model_id: modelId }),
      };
      const created = await ask("POST", "model-versions/create", version);
      return read(z.object({ model_version: versionSchema }), created.body, "model-versions/create").model_version
        .version;
    },
  };
}

function modelOf({ info }: z.output<typeof modelSchema>): MlflowModel {
  return { modelId: info.model_id, artifactUri: info.artifact_uri, isReady: info.status === READY };
}
