"""Makes expected.json of mergekit-files.test.ts: files in the forms that published model cards have, and what mergekit (0.1.5) makes of them.

The models are those of ../merge-file/models (base, a: float32, b: bfloat16, c: float16; 3 layers). Of each merged tensor two numbers are kept: the products
of its elements with cos(0), cos(1), ... and with themselves, summed. Run with a Python that has mergekit: python make.py
"""

import json
import tempfile
from pathlib import Path

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "merge-file" / "models"
SOURCES = "      - model: {0}\n        layer_range: [0, 3]\n      - model: {1}\n        layer_range: [0, 3]\n"
SLICE = "slices:\n  - sources:\n" + SOURCES
T = "  t:\n    - filter: self_attn\n      value: [0, 0.5, 0.3, 0.7, 1]\n    - filter: mlp\n      value: [1, 0.5, 0.7, 0.3, 0]\n    - value: 0.5\n"
LIST = "models:\n  - model: {0}\n    parameters: {{{2}}}\n  - model: {1}\n    parameters: {{{3}}}\n"


def two(one, other, first="a", second="b"):
    return LIST.format(first, second, one, other)


FILES = {
    "slerp-slices": SLICE.format("base", "a") + "merge_method: slerp\nbase_model: base\nparameters:\n" + T,
    "slerp-slices-bfloat16": SLICE.format("base", "a") + "merge_method: slerp\nbase_model: base\nparameters:\n" + T + "dtype: bfloat16\n",
    "slerp-other-order": SLICE.format("a", "base") + "merge_method: slerp\nbase_model: base\nparameters:\n  t: 0.3\n",
    "slerp-models": "models:\n  - model: base\n  - model: b\nmerge_method: slerp\nbase_model: base\nparameters:\n  t:\n    - value: [0, 0.5, 1]\ndtype: torch.float32\n",
    "slerp-weight-ignored": two("weight: 0.5", "weight: 0.5", "base", "a") + "merge_method: slerp\nbase_model: base\nparameters:\n  t: 0.5\n  embed_slerp: true\n",
    "slerp-slice-parameters": SLICE.format("base", "a") + "    parameters:\n      t:\n        - filter: mlp\n          value: 0.9\nmerge_method: slerp\nbase_model: base\nparameters:\n  t: 0.2\n",
    "slerp-base-in-slice": SLICE.format("base", "c") + "    base_model: base\nmerge_method: slerp\nparameters: {t: 0.25}\n",
    "slerp-t-quoted": SLICE.format("base", "a") + "merge_method: slerp\nbase_model: base\nparameters:\n  t: '0.35'\n",
    "slerp-one-case": SLICE.format("base", "a") + "merge_method: slerp\nbase_model: base\nparameters:\n  t: {value: [0.1, 0.9]}\n",
    "linear-density-ignored": two("weight: 0.6, density: 0.5", "weight: 0.4, density: 0.5") + "merge_method: linear\nparameters:\n  int8_mask: true\n",
    "linear-slices": SLICE.format("a", "b").replace("layer_range: [0, 3]\n      - model: b\n        layer_range: [0, 3]\n", "layer_range: [0, 3]\n        parameters:\n          weight: 0.7\n      - model: b\n        layer_range: [0, 3]\n        parameters:\n          weight: [0.2, 0.8]\n") + "merge_method: linear\n",
    "linear-sum": two("weight: 1.0", "weight: -0.25") + "merge_method: linear\nparameters: {normalize: no}\n",
    "linear-weight-for-all": "models:\n  - model: a\n  - model: b\n  - model: c\nmerge_method: linear\nparameters:\n  weight: 1.0\ndtype: float32\nout_dtype: float32\n",
    "linear-out-bfloat16": two("weight: 0.5", "weight: 0.5") + "merge_method: linear\ndtype: float32\nout_dtype: bfloat16\n",
    "linear-exponent": two("weight: 1e-1", "weight: 9e-1") + "merge_method: linear\n",
    "linear-empty-keys": two("weight: 0.5", "weight: 0.5") + "merge_method: linear\nbase_model:\nparameters:\ntokenizer_source:\nchat_template:\n",
    "linear-float64": two("weight: 0.3", "weight: 0.7") + "merge_method: linear\ndtype: float64\n",
    "ties-with-base-listed": "models:\n  - model: base\n    # no parameters necessary for base model\n  - model: a\n    parameters:\n      density: 0.5\n      weight: 0.5\n  - model: b\n    parameters:\n      density: 0.5\n      weight: 0.3\nmerge_method: ties\nbase_model: base\nparameters:\n  normalize: true\n",
    "ties-gradients": "models:\n  - model: a\n    parameters:\n      density: [1, 0.7, 0.1]\n      weight: 1.0\n  - model: b\n    parameters:\n      density: 0.5\n      weight: [0, 0.3, 0.7, 1]\n  - model: c\n    parameters:\n      density: 0.33\n      weight:\n        - filter: mlp\n          value: 0.5\n        - value: 0\nmerge_method: ties\nbase_model: base\nparameters:\n  normalize: true\n  int8_mask: true\n",
    "ties-base-weighted": "models:\n  - model: base\n    parameters: {weight: 1, density: 1}\n  - model: a\n    parameters: {weight: 1, density: 0.6}\nmerge_method: ties\nbase_model: base\n",
    "ties-slices": SLICE.format("a", "base").replace("layer_range: [0, 3]\n      - model: base", "layer_range: [0, 3]\n        parameters: {weight: 0.8, density: 0.4}\n      - model: base") + "merge_method: ties\nbase_model: base\n",
    "task-arithmetic": two("weight: 0.4", "weight: 0.6") + "merge_method: task_arithmetic\nbase_model: base\nparameters:\n  normalize: false\n  lambda: 0.8\n",
    "task-arithmetic-gamma-ignored": two("weight: 0.4, gamma: 0.01", "weight: 0.6, epsilon: 0.1") + "merge_method: task_arithmetic\nbase_model: base\nparameters: {t: 0.5}\n",
    "dare-ties-all-kept": two("weight: 0.4, density: 1.0", "weight: 0.6, density: 1.0") + "merge_method: dare_ties\nbase_model: base\nparameters:\n  int8_mask: true\n  normalize: false\n",
    "dare-linear-all-kept": two("weight: 0.4", "weight: 0.6") + "merge_method: dare_linear\nbase_model: base\nparameters: {density: 1}\n",
    "linear-unused-base": two("weight: 0.5", "weight: 0.5") + "merge_method: linear\nbase_model: base\n",
    "linear-unused-base-weight-for-all": "models:\n  - model: a\n  - model: b\nmerge_method: linear\nbase_model: base\nparameters: {weight: 0.5}\n",
}  # fmt: skip


def placed(value):
    """The file with its models' folders in full."""
    if isinstance(value, dict):
        return {key: str(MODELS / part) if key in ("model", "base_model") and part else placed(part) for key, part in value.items()}
    return [placed(part) for part in value] if isinstance(value, list) else value


def numbers(tensor):
    flat = tensor.double().flatten()
    return [float(flat @ torch.arange(len(flat)).double().cos()), float(flat @ flat)]


def main():
    expected = []
    for name, text in FILES.items():
        entry = {"name": name, "text": text}
        try:
            config = MergeConfiguration.model_validate(placed(yaml.safe_load(text)))
            with tempfile.TemporaryDirectory() as out:
                run_merge(config, out, MergeOptions(copy_tokenizer=False, quiet=True))
                tensors = {key: value for shard in Path(out).glob("*.safetensors") for key, value in load_file(shard).items()}
            entry["dtype"] = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
            entry["tensors"] = {key: numbers(value) for key, value in sorted(tensors.items())}
        except Exception as error:
            entry["error"] = str(error).replace(str(MODELS), "MODELS")[:200]
        print(name, entry.get("error") or f"{entry['dtype']}, {len(entry['tensors'])} tensors")
        expected.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in expected)
    (HERE / "expected.json").write_text(f"[\n{lines}\n]\n")


main()
