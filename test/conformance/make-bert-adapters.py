"""Makes bert-adapters/: adapters of text-encoders/bert/ with everything that peft saves beside factors, with the
weights of its merge_and_unload: all biases, LayerNorms and tables of embeddings trained whole, factors of
embeddings. `python make-bert-adapters.py ours`: merged.safetensors of our own adapters in bert-adapters/ours/ and
bert-adapters/summed/, which bert-adapters.test.ts and summed-adapter.test.ts write with UPDATE_ADAPTERS=1, and the
features that peft computes with the second (mean over the tokens at length 1)."""

import json
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file
from safetensors.torch import save_file
from transformers import BertModel

from clip import FOLDER

BASE = FOLDER / "text-encoders" / "bert"
LINEAR = ["query", "key", "value", "dense"]
ADAPTERS = {
    # Biases of layers with factors, of a layer without any (pooler.dense), and inside LayerNorms that are saved whole.
    "everything": dict(
        target_modules=LINEAR, exclude_modules=["pooler.dense"], bias="all", modules_to_save=["LayerNorm"],
        rank_pattern={"layer.1.output.dense": 4}, alpha_pattern={"layer.1.output.dense": 4, "query": 5},
    ),
    "biases": dict(target_modules=["query", "value"], bias="all"),
    "tables": dict(target_modules=["position_embeddings", "key"], modules_to_save=["word_embeddings", "embeddings.LayerNorm"]),
}  # fmt: skip


def base():
    return BertModel.from_pretrained(BASE, dtype=torch.float32).eval()


def save_merged(out):
    """As a reader gets it: from the files."""
    before = {key: value.clone() for key, value in base().state_dict().items()}
    with warnings.catch_warnings():
        # Keys that are missing in the adapter are a warning of peft's.
        warnings.simplefilter("error", UserWarning)
        merged = PeftModel.from_pretrained(base(), out).merge_and_unload().state_dict()
    changed = {key: merged[key].contiguous() for key in before if not torch.equal(before[key], merged[key])}
    save_file(changed, out / "merged.safetensors")
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)
    print(f"{out.name}: {len(changed)} of {len(before)} tensors changed")


def save_features(out):
    """By peft's layers, without merging, of the texts of text-encoders/bert."""
    given = load_file(BASE / "fixture.safetensors")
    ids, mask = torch.from_numpy(given["input_ids"]).long(), torch.from_numpy(given["attention_mask"]).long()
    model = PeftModel.from_pretrained(base(), out).eval()
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    features = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
    save_file({"features": features.contiguous()}, out / "features.safetensors")


def make():
    for name, settings in ADAPTERS.items():
        out = FOLDER / "bert-adapters" / name
        adapted = get_peft_model(base(), LoraConfig(r=2, lora_alpha=2, task_type="FEATURE_EXTRACTION", **settings))
        with torch.no_grad():
            for _, value in adapted.named_parameters():
                if value.requires_grad:
                    value.add_(0.1 * torch.randn_like(value))
        adapted.save_pretrained(out)
        (out / "README.md").unlink()
        save_merged(out)
        config = json.loads((out / "adapter_config.json").read_text())
        # peft notes where the base was on this machine, and sets in any order.
        config["base_model_name_or_path"] = "../../text-encoders/bert"
        for key in ("target_modules", "exclude_modules", "modules_to_save"):
            config[key] = config[key] and sorted(config[key])
        (out / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


torch.manual_seed(0)
torch.set_num_threads(1)
if sys.argv[1:] == ["ours"]:
    for name in ("ours", "summed"):
        save_merged(FOLDER / "bert-adapters" / name)
    save_features(FOLDER / "bert-adapters" / "summed")
else:
    make()
