"""transformers' side of `npm run compare -- clip`: CLIP models of the published sizes with random weights, and what they compute.

`tokens FOLDER` reads FOLDER/prompts.json (a list of texts), writes CLIP's own tokenizer files to FOLDER/single (tokenizer.json) and
FOLDER/old (vocab.json, merges.txt), and the tokens of the prompts to FOLDER/tokens.json. `model FOLDER SIZE` reads FOLDER/wanted.json
({prompts, heads: {task: {templates, names}}}), saves a model to FOLDER/model and what it computes to FOLDER/expected.safetensors, in
float32 and, for the features and logits, also in float64 (rounded when it is written).
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

sys.path.append(str(Path(__file__).resolve().parents[2] / "test" / "conformance"))
from clip import normalise, preprocessor, smooth_images  # noqa: E402
from clip_tokenizer import END, START, published_merges, vocabulary, write_tokenizer  # noqa: E402

CONTEXT = 77
# Of openai/clip-vit-base-patch32, -base-patch16 and -large-patch14.
TEXT_B = dict(hidden_size=512, num_hidden_layers=12, num_attention_heads=8, intermediate_size=2048)
TEXT_L = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
VISION_B = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
VISION_L = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
SIZES = {
    "b32": (TEXT_B, dict(VISION_B, patch_size=32), 512),
    "b16": (TEXT_B, dict(VISION_B, patch_size=16), 512),
    "l14": (TEXT_L, dict(VISION_L, patch_size=14), 768),
}
IMAGES = 8
TEXT_BATCH = 64
# Seconds of float64 on a few cores.
DOUBLE_PROMPTS = 64
# Where text cleaning is not the same everywhere: capitals, accents, blanks, joiners, digits, quotes, other scripts.
ALPHABET = "abcdefgzABCÉéÑçß ΣσςΑΩİıЖжÅ\u0301\u0308\u200b\u200d\ufeff\u00a0\u0085\u3000\t\n  '''\"-_.,!?/\\|<>#&()[]{}0123456789½²٣東京한กन🐱👍🏽ﬁǅ"


def write_tokens(folder):
    prompts = json.loads((folder / "prompts.json").read_text())
    rng = random.Random(0)
    fuzz = ["".join(rng.choices(ALPHABET, k=rng.randint(0, 60))) for _ in range(5000)]
    merges = published_merges()
    vocab = vocabulary(merges)
    write_tokenizer(folder / "single", vocab, merges, CONTEXT, old=False)
    write_tokenizer(folder / "old", vocab, merges, CONTEXT, single=False)
    tokens = {}
    for form in ("single", "old"):
        tokenizer = CLIPTokenizer.from_pretrained(folder / form)
        tokens[form] = tokenizer(prompts + fuzz, truncation=True, max_length=CONTEXT)["input_ids"]
    assert tokens["single"] == tokens["old"], "the two forms of the tokenizer differ"
    (folder / "tokens.json").write_text(json.dumps({"texts": prompts + fuzz, "tokens": tokens["single"]}))


def random_weights(model, generator):
    """Layers keep the size of what goes through them, as trained ones roughly do: the library's own 0.02 would hide errors."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            drawn = torch.randn(value.shape, generator=generator)
            if name == "logit_scale":
                value.fill_(np.log(100))
            elif "norm" in name and name.endswith("weight"):
                value.copy_(1 + 0.1 * drawn)
            elif name.endswith("bias"):
                value.copy_(0.05 * drawn)
            elif "embedding" in name and "patch" not in name:
                value.copy_(0.1 * drawn)
            else:
                value.copy_(drawn / value[0].numel() ** 0.5)


def save_model(folder, size):
    text, vision, features = SIZES[size]
    merges = published_merges()
    vocab = vocabulary(merges)
    common = dict(projection_dim=features, hidden_act="quick_gelu")
    config = CLIPConfig(
        text_config=dict(text, **common, max_position_embeddings=CONTEXT, bos_token_id=vocab[START], eos_token_id=vocab[END]),
        vision_config=dict(vision, **common, image_size=224), projection_dim=features, attn_implementation="sdpa",
    )  # fmt: skip
    model = CLIPModel(config).eval()
    random_weights(model, torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(224)))
    write_tokenizer(folder, vocab, merges, CONTEXT, old=False)
    return model, CLIPTokenizer.from_pretrained(folder)


def compute(folder, size):
    wanted = json.loads((folder / "wanted.json").read_text())
    model, tokenizer = save_model(folder / "model", size)
    pixels = smooth_images(np.random.default_rng(0), IMAGES, 224)

    def text_features(prompts):
        parts = []
        for first in range(0, len(prompts), TEXT_BATCH):
            tokens = tokenizer(prompts[first : first + TEXT_BATCH], padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt")
            pooled = model.text_model(**tokens).pooler_output
            parts.append(model.text_projection(pooled))
        embeds = torch.cat(parts)
        return embeds / embeds.norm(dim=-1, keepdim=True)

    def image_features(dtype):
        embeds = model.visual_projection(model.vision_model(normalise(pixels, dtype)).pooler_output)
        return embeds / embeds.norm(dim=-1, keepdim=True)

    arrays = {}
    with torch.no_grad():
        prompts = wanted["prompts"]
        arrays["text_features"] = text_features(prompts)
        arrays["image_features"] = image_features(torch.float32)
        arrays["logits"] = model.logit_scale.exp() * arrays["image_features"] @ arrays["text_features"].T
        # CLIPModel itself gives the same as its parts.
        tokens = tokenizer(prompts[:8], padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt")
        whole = model(**tokens, pixel_values=normalise(pixels, torch.float32)).logits_per_image
        assert (whole - arrays["logits"][:, :8]).abs().max() < 1e-3, "CLIPModel and its parts disagree"
        for task, head in wanted["heads"].items():
            texts = [template.replace("{}", name) for name in head["names"] for template in head["templates"]]
            means = text_features(texts).view(len(head["names"]), len(head["templates"]), -1).mean(1)
            arrays[f"head.{task}"] = means / means.norm(dim=-1, keepdim=True)
        model = model.double()
        arrays["text_features_f64"] = text_features(prompts[:DOUBLE_PROMPTS])
        arrays["image_features_f64"] = image_features(torch.float64)
        arrays["logits_f64"] = model.logit_scale.exp() * arrays["image_features_f64"] @ arrays["text_features_f64"].T
    plain = {name: np.ascontiguousarray(value.float().numpy()) for name, value in arrays.items()}
    save_file(plain, folder / "expected.safetensors")
    # uint8 [8, 224, 224, 3].
    (folder / "pixels.bin").write_bytes(pixels.tobytes())


if __name__ == "__main__":
    if sys.argv[1] == "tokens":
        write_tokens(Path(sys.argv[2]))
    else:
        compute(Path(sys.argv[2]), sys.argv[3])
