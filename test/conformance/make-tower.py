"""Makes tower-quick-gelu/ and tower-gelu/: CLIP vision towers with random weights, saved by `transformers`, and what they compute."""

import json

import numpy as np
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from clip import FOLDER, normalise, preprocessor, read_config, save_arrays, smooth_images, tower_features

TOWERS = {
    "tower-quick-gelu": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        patch_size=8, image_size=32, projection_dim=16, hidden_act="quick_gelu",
    ),
    "tower-gelu": dict(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=96,
        patch_size=4, image_size=16, projection_dim=24, hidden_act="gelu",
    ),
}  # fmt: skip
IMAGES = 4


def random_weights(model, rng):
    """Every parameter drawn anew: the library's own 0.02 leaves all images with nearly the same feature."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            drawn = rng.standard_normal(value.shape)
            if "norm" in name and name.endswith("weight"):
                drawn = 1 + 0.1 * drawn
            elif name.endswith("bias"):
                drawn = 0.05 * drawn
            elif value.ndim == 2 and "position" not in name:
                drawn = 0.18 * drawn
            else:
                drawn = 0.1 * drawn
            value.copy_(torch.from_numpy(drawn))


def make(name, settings, seed):
    rng = np.random.default_rng(seed)
    folder = FOLDER / name
    # Not "eager" attention: its softmax is always in float32, which spoils the float64 features.
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings, attn_implementation="sdpa")).eval()
    random_weights(model, rng)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    size = settings["image_size"]
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(size), indent=2) + "\n")
    pixels = smooth_images(rng, IMAGES, size)

    def features(dtype):
        with torch.no_grad():
            embeds = model.to(dtype)(normalise(pixels, dtype)).image_embeds
        return embeds, embeds / embeds.norm(dim=-1, keepdim=True)

    _, single = features(torch.float32)
    embeds, double = features(torch.float64)
    with torch.no_grad():
        weights = {key: value.detach() for key, value in model.state_dict().items()}
        plain = tower_features(weights, read_config(folder), normalise(pixels, torch.float64))
    assert (plain - double).abs().max() < 1e-12, "clip.py and transformers disagree"
    cosines = (double @ double.T)[~torch.eye(IMAGES, dtype=bool)]
    print(f"{name}: float32 - float64 {(single - double).abs().max():.1e}, cosines between images {cosines.min():.2f} to {cosines.max():.2f}")
    save_arrays(folder / "fixture.safetensors", pixels=pixels, features=single, image_embeds_f64=embeds, features_f64=double)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed, (name, settings) in enumerate(TOWERS.items()):
        make(name, settings, seed)
