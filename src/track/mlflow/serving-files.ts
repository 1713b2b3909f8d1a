/**
 * What makes the folder of a merged model one that MLflow loads and serves: MLmodel, the Python that reads the model (scripts/mlflow, a few packages
 * and no pickle), and the environments that it runs in. Models of families from outside the package have no such Python: their MLmodel says what they are.
 * Formats: MLmodel as in mlflow/models/model.py, signatures in mlflow/types/schema.py, environments in mlflow/utils/environment.py.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { architecturesOf } from "../../checkpoint/saved-config.js";
import { PACKAGE } from "../../config/shipped-files.js";
import { familyOf } from "../../model/families.js";
import { readText } from "../../runtime/regular-file.js";
import { filesBelow } from "./run-data.js";

/** Of a model: where it comes from, as MLmodel says it. */
export interface ModelOrigin {
  readonly runId: string;
  readonly artifactUri: string;
  /** The logged model that it is; undefined on MLflow 2. */
  readonly modelId: string | undefined;
  /** ISO 8601, UTC. */
  readonly created: string;
}

export interface ServingFiles {
  /** MLmodel as data, which MLflow 2 also keeps with the run. */
  readonly description: Readonly<Record<string, unknown>>;
  /** Text by name, relative to the model; MLmodel is the last. */
  readonly files: ReadonlyMap<string, string>;
}

const LOADER = "adamerge_pyfunc";
/** That torch and transformers have wheels for, for years to come; the loader itself takes any from 3.10. */
const PYTHON = "3.11";
const REQUIREMENTS = ["mlflow>=2.9", "torch>=2.1", "transformers>=4.41", "safetensors>=0.4"];
const OF_IMAGES = ["pillow>=10"];

/** `folder` is the model's; `isOutside` when its family is not one of the package. */
export async function servingFiles(folder: string, origin: ModelOrigin, isOutside: boolean): Promise<ServingFiles> {
  const file = path.join(folder, "config.json");
  const config = parseConfig(await readText(file, "a config.json", MAX_CONFIG_BYTES), file);
  const [transformersClass] = architecturesOf(config);
  const own = { adamerge: { data: ".", format: "safetensors", transformers_class: transformersClass } };
  const tasks = (await filesBelow(folder, "heads")).map((name) => path.posix.basename(name, ".safetensors"));
  const described = (flavors: object, more: object = {}): Readonly<Record<string, unknown>> => ({
    artifact_path: origin.artifactUri,
    flavors,
    ...more,
    ...(origin.modelId === undefined ? {} : { model_id: origin.modelId }),
    model_uuid: origin.modelId ?? origin.runId,
    run_id: origin.runId,
    utc_time_created: origin.created.replace("T", " ").replace("Z", ""),
  });
  if (isOutside || tasks.length === 0) {
    const description = described(own);
    return { description, files: new Map([["MLmodel", stringify(description)]]) };
  }
  const areImages = familyOf(config, file).kind === "image";
  const requirements = [...REQUIREMENTS, ...(areImages ? OF_IMAGES : [])];
  const pyfunc = {
    ...{ loader_module: LOADER, code: "code", data: ".", python_version: PYTHON },
    env: { conda: "conda.yaml", virtualenv: "python_env.yaml" },
  };
  const description = described({ python_function: pyfunc, ...own }, { signature: signatureOf(areImages, tasks) });
  const conda = { name: "mlflow-env", channels: ["conda-forge"] };
  return {
    description,
    files: new Map([
      [`code/${LOADER}.py`, await readFile(path.join(PACKAGE, "scripts", "mlflow", `${LOADER}.py`), "utf8")],
      ["requirements.txt", `${requirements.join("\n")}\n`],
      ["python_env.yaml", stringify({ python: PYTHON, dependencies: ["-r requirements.txt"] })],
      ["conda.yaml", stringify({ ...conda, dependencies: [`python=${PYTHON}`, "pip", { pip: [...requirements] }] })],
      ["MLmodel", stringify(description)],
    ]),
  };
}

/** What goes in and comes out, as JSON in texts, which is how MLmodel has it. */
function signatureOf(areImages: boolean, tasks: readonly string[]) {
  const inputs = areImages
    ? [{ type: "binary", name: "image", required: true }]
    : [
        { type: "string", name: "text", required: true },
        { type: "string", name: "text_pair", required: false },
      ];
  const outputs = tasks.flatMap((task) => [
    { type: "string", name: task, required: true },
    { type: "double", name: `${task}_probability`, required: true },
  ]);
  // An empty text: all tasks.
  const params = [{ name: "task", type: "string", default: "", shape: null }];
  return { inputs: JSON.stringify(inputs), outputs: JSON.stringify(outputs), params: JSON.stringify(params) };
}
