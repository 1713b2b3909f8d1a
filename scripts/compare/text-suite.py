"""The Python side of `npm run compare -- text-suite`: predictions on a suite of texts by transformers and peft alone.

text-suite.py FOLDER reads FOLDER/suite.json (paths of the base, of experts as adapters or folders, heads and parquet files; where texts are cut, the
logit scale, and coefficients [K, L] with the group of every tensor) and writes FOLDER/predictions.json: by model and task the numbers of the classes.
Experts are what peft's merge_and_unload makes of their adapters; averaging and the learned merge are sums over state dicts, in float32.
"""

import json
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

BATCH = 100


def load(path):
    return AutoModel.from_pretrained(path, dtype=torch.float32, add_pooling_layer=False).eval()


def expert_of(suite, path):
    if not (Path(path) / "adapter_config.json").exists():
        return load(path).state_dict()
    return PeftModel.from_pretrained(load(suite["base"]), path).merge_and_unload().state_dict()


@torch.inference_mode()
def predictions(model, tokenizer, suite, task):
    head = load_file(task["head"])["weight"]
    found = []
    for first in range(0, len(task["texts"]), BATCH):
        tokens = tokenizer(task["texts"][first : first + BATCH], padding=True, truncation=True, max_length=suite["max_length"], return_tensors="pt")
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        features = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        found += (suite["logit_scale"] * features @ head.T).argmax(-1).tolist()
    return found


def main():
    folder = Path(sys.argv[1])
    suite = json.loads((folder / "suite.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(suite["base"])
    tasks = suite["tasks"]
    for task in tasks:
        task["texts"] = parquet.read_table(task["examples"])["text"].to_pylist()
    model = load(suite["base"])
    base = {name: value.clone() for name, value in model.state_dict().items()}
    experts = [expert_of(suite, task["expert"]) for task in tasks]
    vectors = [{name: expert[name] - value for name, value in base.items()} for expert in experts]

    def merged(coefficient):
        """`coefficient(k, name)` of every task vector."""
        return {name: value + sum(coefficient(k, name) * vector[name] for k, vector in enumerate(vectors)) for name, value in base.items()}

    def judged(state, among=tasks):
        model.load_state_dict(state)
        return {task["name"]: predictions(model, tokenizer, suite, task) for task in among}

    models = {"pretrained": judged(base), "individual": {}}
    for task, expert in zip(tasks, experts, strict=True):
        models["individual"].update(judged(expert, [task]))
    models["weight_averaging"] = judged(merged(lambda k, name: 1 / len(tasks)))
    learned = suite.get("coefficients")
    if learned is not None:
        group = {name: learned["groups"].index(of) for name, of in learned["groupOf"].items()}
        # A tensor without a group is the base's: frozen.
        models["coefficients"] = judged(merged(lambda k, name: learned["values"][k][group[name]] if name in group else 0))
    (folder / "predictions.json").write_text(json.dumps(models))


main()
