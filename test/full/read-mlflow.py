"""Reads a run back with MLflow's own client and prints what it finds as JSON, for mlflow.test.ts.

Usage: read-mlflow.py URI EXPERIMENT: one object per run of the experiment.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

uri, name = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = MlflowClient(tracking_uri=uri)
experiment = client.get_experiment_by_name(name)
runs = []
for run in client.search_runs([experiment.experiment_id], max_results=100) if experiment else []:
    run_id = run.info.run_id
    history = {
        key: [[point.step, point.value, point.timestamp] for point in client.get_metric_history(run_id, key)]
        for key in run.data.metrics
    }
    artifacts = {}

    def walk(path=None):
        for entry in client.list_artifacts(run_id, path):
            if entry.is_dir:
                walk(entry.path)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    data = Path(client.download_artifacts(run_id, entry.path, folder)).read_bytes()
                artifacts[entry.path] = hashlib.sha256(data).hexdigest()

    walk()
    models = []
    for model in client.search_logged_models([experiment.experiment_id], filter_string=f"source_run_id = '{run_id}'"):
        local = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}"))
        described = mlflow.models.Model.load(str(local))
        models.append(
            {
                "name": model.name,
                "status": str(model.status),
                "described": described.model_id == model.model_id,
                "flavors": sorted(described.flavors),
                "files": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in local.iterdir() if p.is_file()},
                "outputs": [[output.model_id == model.model_id, output.step] for output in run.outputs.model_outputs],
                "metrics": {point.key: [point.value, point.dataset_name] for point in model.metrics or []},
                "signature": described.signature.to_dict() if described.signature else None,
            }
        )
    runs.append(
        {
            "models": models,
            "id": run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "params": dict(run.data.params),
            "tags": dict(run.data.tags),
            "metrics": history,
            "artifacts": artifacts,
            "inputs": {
                f"{given.dataset.name} {given.dataset.digest}": [tag.value for tag in given.tags]
                for given in run.inputs.dataset_inputs
            },
            "kind": experiment.tags.get("mlflow.experimentKind"),
            "registered": [version.name for version in client.search_model_versions(f"run_id = '{run_id}'")],
        }
    )
print(json.dumps(runs))
