"""The Python side of `npm run compare -- adapter`: what peft makes of an adapter of ours.

adapter.py FOLDER BASE MODEL ADAPTER... reads FOLDER/texts.json; writes FOLDER/tokens.json, and of each adapter FOLDER/<n>.safetensors:
the tensors of merge_and_unload() as `weight.<name>`, and features, in float32: by the layers of peft (`adapted`), by the merged model
(`merged`), and by MODEL, the one that was truncated (`whole`).
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

BATCH = 20


@torch.no_grad()
def features(model, tokenizer, texts):
    """Mean over the tokens that are not padding, at length 1: [B, D]."""
    parts = []
    for first in range(0, len(texts), BATCH):
        tokens = tokenizer(texts[first : first + BATCH], padding=True, truncation=True, max_length=128, return_tensors="pt")
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        parts.append(F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1))
    return torch.cat(parts)


def main():
    folder, base, whole, *adapters = sys.argv[1:]
    folder = Path(folder)
    texts = json.loads((folder / "texts.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(base)
    (folder / "tokens.json").write_text(json.dumps(tokenizer(texts, truncation=True, max_length=128)["input_ids"]))
    of_whole = features(AutoModel.from_pretrained(whole, dtype=torch.float32).eval(), tokenizer, texts)
    for number, adapter in enumerate(adapters):
        # Missing or unexpected keys are warnings of peft.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(AutoModel.from_pretrained(base, dtype=torch.float32), adapter).eval()
        adapted = features(model, tokenizer, texts)
        merged = model.merge_and_unload()
        arrays = {f"weight.{name}": value.contiguous() for name, value in merged.state_dict().items() if value.is_floating_point()}
        arrays.update(adapted=adapted, merged=features(merged, tokenizer, texts), whole=of_whole)
        save_file(arrays, folder / f"{number}.safetensors")


main()
