"""Makes the fixtures of merge-file.test.ts: small models of the Llama layout, and what mergekit (PyPI) makes of them.

python -m venv env && env/bin/pip install mergekit && env/bin/python make.py
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 20,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}


def shapes():
    hidden, inner, vocab = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    found = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (vocab, hidden)}
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name in "qkvo":
            found[f"{prefix}self_attn.{name}_proj.weight"] = (hidden, hidden)
        found[f"{prefix}mlp.gate_proj.weight"] = (inner, hidden)
        found[f"{prefix}mlp.up_proj.weight"] = (inner, hidden)
        found[f"{prefix}mlp.down_proj.weight"] = (hidden, inner)
        found[f"{prefix}input_layernorm.weight"] = (hidden,)
        found[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
    return found


def save(folder: Path, tensors, dtype):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.to(dtype).contiguous() for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")


FILES = {
    "linear": "models:\n  - {model: a, parameters: {weight: 1}}\n  - {model: b, parameters: {weight: 0.5}}\n  - {model: c, parameters: {weight: 2}}\nmerge_method: linear\n",
    "linear-sum": "models:\n  - {model: a, parameters: {weight: 0.7}}\n  - {model: b, parameters: {weight: 0.5}}\nparameters: {normalize: false}\nmerge_method: linear\n",
    "slerp": "models:\n  - model: base\n  - model: a\nbase_model: base\nmerge_method: slerp\nparameters:\n  t:\n    - {filter: self_attn, value: [0, 0.5, 1]}\n    - {filter: mlp, value: [1, 0.5, 0.2]}\n    - {value: 0.4}\n",
    "task-arithmetic": "models:\n  - {model: a, parameters: {weight: 0.3}}\n  - {model: b, parameters: {weight: [0.1, 0.9]}}\n  - model: c\n    parameters:\n      weight:\n        - {filter: mlp, value: 0.6}\n        - {filter: q_proj, value: [-0.2, 0.2]}\nparameters: {weight: 0.25, lambda: 1.3}\nbase_model: base\nmerge_method: task_arithmetic\n",
    "ties": "models:\n  - {model: a, parameters: {weight: 1, density: 0.5}}\n  - {model: b, parameters: {weight: 0.5, density: 0.3}}\n  - {model: c, parameters: {weight: 0.8, density: [0.2, 1]}}\nbase_model: base\nmerge_method: ties\n",
    "ties-sum": "models:\n  - {model: a, parameters: {weight: 1, density: 0.21}}\n  - {model: b, parameters: {weight: -0.5, density: 0.5}}\nparameters: {normalize: false, rescale: true, int8_mask: true}\nbase_model: base\nmerge_method: ties\n",
    "dare-all": "models:\n  - {model: a, parameters: {weight: 0.4, density: 1}}\n  - {model: b, parameters: {weight: 0.5, density: 1}}\nbase_model: base\nmerge_method: dare_ties\n",
}


def main():
    generator = torch.Generator().manual_seed(3)
    base = {name: torch.randn(shape, generator=generator) for name, shape in shapes().items()}
    models = HERE / "models"
    shutil.rmtree(models, ignore_errors=True)
    save(models / "base", base, torch.float32)
    for name, dtype in [("a", torch.float32), ("b", torch.bfloat16), ("c", torch.float16)]:
        moved = {key: value + 0.1 * torch.randn(value.shape, generator=generator) for key, value in base.items()}
        save(models / name, moved, dtype)
    expected = {}
    for name, text in FILES.items():
        (models / f"{name}.yaml").write_text(text)
        with tempfile.TemporaryDirectory() as out:
            # dtype float32: mergekit computes in the type of the tensors, this project in float32.
            local = Path(out) / "config.yaml"
            local.write_text("\n".join(line.replace("model: ", f"model: {models}/") if "model: " in line else line for line in text.splitlines()) + "\ndtype: float32\n")
            command = [str(Path(sys.executable).parent / "mergekit-yaml"), str(local), f"{out}/merged", "--no-copy-tokenizer", "--safe-serialization"]
            subprocess.run(command, check=True)
            for shard in sorted(Path(out, "merged").glob("*.safetensors")):
                for key, value in load_file(shard).items():
                    expected[f"{name}/{key}"] = value.contiguous()
    save_file(expected, HERE / "expected.safetensors", {"format": "pt"})


main()
