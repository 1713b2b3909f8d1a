"""Loads a registered model with mlflow.pyfunc, and its scoring server in this process, and compares both with `adamerge predict`, for mlflow.test.ts.

Usage: serve-mlflow.py URI MODEL PARQUET CLI: examples are the images of PARQUET. Prints `no PACKAGE` where the model's own packages are missing
(torch and transformers are no part of MLflow), else an object: rows, differing labels, the worst difference of a probability, rows that were served.
"""

import importlib.util
import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

for package in ("torch", "transformers", "safetensors", "PIL"):
    if importlib.util.find_spec(package) is None:
        print(f"no {package}")
        sys.exit(0)

import mlflow
import pandas
import pyarrow.parquet as parquet
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server

uri, name, file, cli = sys.argv[1:]
mlflow.set_tracking_uri(uri)
images = [image["bytes"] for image in parquet.read_table(file).slice(0, 64)["image"].to_pylist()]
folder = Path("served")
folder.mkdir()
for index, content in enumerate(images):
    (folder / f"{index:03d}.png").write_bytes(content)
model = mlflow.pyfunc.load_model(name)
found = model.predict(pandas.DataFrame({"image": images}))
command = [os.environ["NODE"], cli, "predict", "runs/e/live", str(folder), "--format", "jsonl", "--quiet"]
rows = [json.loads(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()]
differing, worst = 0, 0.0
for (_, ours), row in zip(found.iterrows(), rows, strict=True):
    for prediction in row["predictions"]:
        task, label = prediction["task"], prediction["labels"][0]
        differing += ours[task] != label["label"]
        worst = max(worst, abs(ours[f"{task}_probability"] - label["probability"]))
body = {"dataframe_split": {"columns": ["image"], "data": [[b64encode(content).decode()] for content in images[:2]]}}
answer = TestClient(scoring_server.init(model)).post("/invocations", json=body).json()["predictions"]
served = sum(row["letters"] == label for row, label in zip(answer, found["letters"], strict=False))
print(json.dumps({"rows": len(rows), "differing": differing, "worst": worst, "served": served}))
