"""The side of transformers in `npm run compare -- saved-models`: makes models as this version saves them, and loads merged ones.

    saved-models.py make FOLDER            a CLIP suite and two small models of each kind that merge files merge
    saved-models.py load FOLDER OUT.json   every folder merged-* in FOLDER, and what it is of: what was missing or odd, its type, and what it computes

Random weights from seeded generators. Predictions are of fixed inputs, in float32.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers as t

TOWER = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8, projection_dim=8)
TEXT = dict(
    hidden_size=12, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2, vocab_size=20, max_position_embeddings=8, projection_dim=8,
    bos_token_id=1, eos_token_id=2,
)  # fmt: skip
LLAMA = dict(
    vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, rope_theta=1000000.0,
    rms_norm_eps=1e-5, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
BERT = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
VIT = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8, num_labels=3)
T5 = dict(vocab_size=32, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0, pad_token_id=0)


def seeded(seed, make):
    torch.manual_seed(seed)
    model = make()
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(0.3 * torch.randn_like(value))
    return model


def make(folder):
    kinds = {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA)),
        "tied": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA, tie_word_embeddings=True)),
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(**BERT)),
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**VIT)),
        "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**T5)),
    }
    for kind, build in kinds.items():
        for seed in range(2):
            seeded(seed, build).save_pretrained(folder / f"{kind}-{seed}")
    clip = t.CLIPConfig(text_config=TEXT, vision_config=TOWER, projection_dim=8)
    seeded(0, lambda: t.CLIPModel(clip)).save_pretrained(folder / "clip")
    seeded(0, lambda: t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**TOWER))).save_pretrained(folder / "vision")
    processor = t.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    for base in ("clip", "vision"):
        processor.save_pretrained(folder / base)
    seeded(1, lambda: t.CLIPModel(clip)).save_pretrained(folder / "expert-a")
    seeded(2, lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**TOWER))).save_pretrained(folder / "expert-b")
    seeded(3, lambda: t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**TOWER))).save_pretrained(folder / "expert-c")


def load(folder):
    found = {}
    for place in sorted([*folder.glob("merged-*"), *folder.glob("*-0"), folder / "clip", folder / "vision"]):
        name = json.loads((place / "config.json").read_text())["architectures"][0]
        said = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, info = getattr(t, name).from_pretrained(place, dtype="auto", output_loading_info=True)
            said += [str(w.message) for w in caught if "from_pretrained" in str(w.message) or "initialized" in str(w.message)]
        said += [f"{key}: {sorted(map(str, value))[:5]}" for key, value in info.items() if len(value) > 0]
        dtype = str(model.dtype)
        model = model.eval().float()
        with torch.no_grad():
            out = predict(model, name)
        found[place.name] = dict(architecture=name, dtype=dtype, said=said, values=out.flatten().tolist())
    return found


def predict(model, name):
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.standard_normal((2, 3, 16, 16)).astype(np.float32))
    ids = torch.from_numpy(rng.integers(3, 20, (2, 6)))
    ids[:, -1] = 2
    if name == "CLIPModel":
        out = model(input_ids=ids, pixel_values=pixels)
        return torch.cat([out.image_embeds.flatten(), out.text_embeds.flatten(), out.logits_per_image.flatten()])
    if name == "CLIPVisionModelWithProjection":
        return model(pixel_values=pixels).image_embeds
    if name == "ViTForImageClassification":
        return model(pixel_values=pixels).logits
    if name == "T5ForConditionalGeneration":
        return model(input_ids=ids, decoder_input_ids=ids).logits
    return model(input_ids=ids).logits


if __name__ == "__main__":
    t.logging.set_verbosity_error()
    verb, folder = sys.argv[1], Path(sys.argv[2])
    if verb == "make":
        make(folder)
    else:
        Path(sys.argv[3]).write_text(json.dumps(load(folder)))
