"""Makes conv1d-adapters/: LoRA adapters of a small GPT-2, whose layers keep their weights [inputs, outputs], as peft saves them, with the weights of its
merge_and_unload. A base layer that was trained along, embeddings, and a linear layer among the others. Run: python make-conv1d-adapters.py"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = Path(__file__).resolve().parent / "conv1d-adapters"
CONFIG = dict(n_embd=8, n_layer=2, n_head=2, vocab_size=12, n_positions=8, bos_token_id=0, eos_token_id=0, tie_word_embeddings=False)
ADAPTERS = {
    # Square matrices only: their shapes say nothing.
    "square": dict(target_modules=["attn.c_proj"], fan_in_fan_out=True),
    "patterns": dict(target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True, use_rslora=True, rank_pattern={"c_fc": 3}, alpha_pattern={"0.attn.c_proj": 5}, bias="lora_only"),
    # The last layer is a linear one: peft writes fan_in_fan_out false, for all of them.
    "with-head": dict(target_modules=["attn.c_proj", "lm_head"], modules_to_save=["ln_f"]),
    "embeddings": dict(target_modules=["wte", "wpe", "mlp.c_proj"]),
    "base-layer": dict(target_modules=["attn.c_proj", "c_fc"], fan_in_fan_out=True),
}  # fmt: skip


def drawn(value, scale=0.2):
    return scale * torch.randn(value.shape)


def main():
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    GPT2LMHeadModel(GPT2Config(**CONFIG)).save_pretrained(FOLDER / "base")
    for path in (FOLDER / "base").iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    before = load_file(FOLDER / "base" / "model.safetensors")
    for name, settings in ADAPTERS.items():
        adapted = get_peft_model(GPT2LMHeadModel.from_pretrained(FOLDER / "base"), LoraConfig(r=2, lora_alpha=4, **settings))
        with torch.no_grad():
            for _, value in adapted.named_parameters():
                if value.requires_grad:
                    value.add_(drawn(value))
        out = FOLDER / name
        adapted.save_pretrained(out)
        (out / "README.md").unlink()
        if name == "base-layer":
            saved = load_file(out / "adapter_model.safetensors")
            for key in [key for key in saved if key.endswith("lora_A.weight")]:
                layer = key.removesuffix("lora_A.weight")
                weight = before[layer.removeprefix("base_model.model.") + "weight"]
                saved[f"{layer}base_layer.weight"] = weight + drawn(weight)
            save_file(saved, out / "adapter_model.safetensors", {"format": "pt"})
        config = json.loads((out / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "../base"
        (out / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
        merged = PeftModel.from_pretrained(GPT2LMHeadModel.from_pretrained(FOLDER / "base"), out).merge_and_unload().state_dict()
        changed = {key: merged[key].contiguous() for key in before if not torch.equal(before[key], merged[key])}
        save_file(changed, out / "merged.safetensors")
        print(f"{name}: {len(changed)} of {len(before)} tensors changed; fan_in_fan_out {config['fan_in_fan_out']}")
    for path in FOLDER.rglob("*.safetensors"):
        path.chmod(0o644)


main()
