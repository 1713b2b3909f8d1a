"""Makes open-clip/: a small CLIP model of open_clip with random weights in the files that people have, and what its vision tower computes."""

import json

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

from clip import FOLDER, normalise, preprocessor, save_arrays, smooth_images

WIDTH, LAYERS, HEADS, MLP, PATCH, SIZE, EMBEDDING = 24, 2, 3, 48, 8, 24, 10
IMAGES = 4
# As the authors' ImageEncoder has it: the model without its text transformer, under `model.`.
WITHOUT_TEXT_TRANSFORMER = "transformer."


def random_model(rng):
    """A CLIP model of open_clip in float32 with QuickGELU, every parameter drawn anew."""
    vision = open_clip.model.CLIPVisionCfg(
        layers=LAYERS, width=WIDTH, head_width=WIDTH // HEADS, mlp_ratio=MLP / WIDTH, patch_size=PATCH, image_size=SIZE
    )
    text = open_clip.model.CLIPTextCfg(context_length=4, vocab_size=6, width=8, heads=2, layers=1)
    model = open_clip.model.CLIP(EMBEDDING, vision, text, quick_gelu=True).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            drawn = rng.standard_normal(value.shape)
            if "ln_" in name and name.endswith("weight"):
                drawn = 1 + 0.1 * drawn
            elif name.endswith("bias"):
                drawn = 0.05 * drawn
            elif value.ndim == 2 and "positional" not in name:
                drawn = 0.2 * drawn
            else:
                drawn = 0.1 * drawn
            value.copy_(torch.from_numpy(np.asarray(drawn)))
    return model


def make():
    folder = FOLDER / "open-clip"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(7)
    model = random_model(rng)
    state = model.state_dict()
    torch.save(state, folder / "whole.pt")
    encoder = {f"model.{name}": value for name, value in state.items() if not name.startswith(WITHOUT_TEXT_TRANSFORMER)}
    torch.save({"state_dict": encoder, "epoch": 10}, folder / "encoder.pt")
    tower = {name: value.contiguous() for name, value in model.visual.state_dict().items()}
    save_file(tower, folder / "tower.safetensors")
    (folder / "tower.safetensors").chmod(0o644)
    config = dict(
        architectures=["CLIPVisionModelWithProjection"], model_type="clip_vision_model", hidden_size=WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=MLP, patch_size=PATCH, image_size=SIZE,
        projection_dim=EMBEDDING, hidden_act="quick_gelu",
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(SIZE), indent=2) + "\n")
    pixels = smooth_images(rng, IMAGES, SIZE)
    with torch.no_grad():
        features = model.double().encode_image(normalise(pixels, torch.float64), normalize=True)
    cosines = (features @ features.T)[~torch.eye(IMAGES, dtype=bool)]
    print(f"open-clip: cosines between images {cosines.min():.2f} to {cosines.max():.2f}")
    save_arrays(folder / "fixture.safetensors", pixels=pixels, features_f64=features)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make()
