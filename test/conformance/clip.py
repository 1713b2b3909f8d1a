"""The CLIP vision tower and the AdaMerging step, written plainly in PyTorch for the fixtures of this folder.

What it is not: it uses neither `transformers` nor `src/`; make-tower.py checks it against `transformers`, and the
fixtures then check `src/` against it. Source of the mathematics: AdaMerging (arXiv 2310.02575), sections 3.2 and 3.3;
CLIP (arXiv 2103.00020). Everything runs in the dtype of the weights that come in.

Legend: B batch, T tokens, D width, E embedding, C classes, K experts, N parameter tensors.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

FOLDER = Path(__file__).resolve().parent
# The normalisation of every CLIP release, as in its preprocessor_config.json.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
LAYER_NORM_EPSILON = 1e-5


def smooth_images(rng, count, size, waves=4, tint=None):
    """uint8 [count, size, size, 3]: sums of a few random plane waves per colour, so that neighbouring pixels agree."""
    axis = np.arange(size) / size
    y, x = axis[:, None, None], axis[None, :, None]
    images = np.zeros((count, size, size, 3), np.uint8)
    for i in range(count):
        value = np.zeros((size, size, 3))
        for _ in range(waves):
            fy, fx = rng.uniform(-3, 3, (2, 3))
            value += rng.uniform(0.2, 1, 3) * np.sin(2 * np.pi * (fy * y + fx * x) + rng.uniform(0, 2 * np.pi, 3))
        value = 127.5 + 50 * value + (0 if tint is None else np.asarray(tint))
        images[i] = np.clip(np.rint(value), 0, 255).astype(np.uint8)
    return images


def normalise(pixels, dtype):
    """uint8 [B,H,W,3] -> [B,3,H,W]: (pixels / 255 - mean) / std in `dtype`."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).to(dtype) / 255
    x = (x - torch.tensor(CLIP_MEAN, dtype=dtype)) / torch.tensor(CLIP_STD, dtype=dtype)
    return x.permute(0, 3, 1, 2)


def preprocessor(size):
    """preprocessor_config.json in the form of the published CLIP checkpoints."""
    return {
        "crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN,
        "image_processor_type": "CLIPImageProcessor", "image_std": CLIP_STD, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"shortest_edge": size},
    }  # fmt: skip


def short(name):
    """Tensor name without the `vision_model.` prefix that some releases of `transformers` write."""
    return name.removeprefix("vision_model.")


def tower_features(weights, config, images, observe=lambda weight, x: None, observe_scale=lambda weight, x: None):
    """Named weights and normalised images [B,3,H,W] -> L2-normalised image embeddings [B,E].

    `observe` is told the input [..., I] of every linear layer by the short name of its weight, `observe_scale` the
    normalised values [..., D] that every norm multiplies by its weight.
    """
    p = {short(name): value for name, value in weights.items()}
    D, heads, patch = config["hidden_size"], config["num_attention_heads"], config["patch_size"]
    B, head_width = images.shape[0], D // heads

    def norm(x, name):
        observe_scale(f"{name}.weight", F.layer_norm(x, (D,), eps=LAYER_NORM_EPSILON))
        return F.layer_norm(x, (D,), p[f"{name}.weight"], p[f"{name}.bias"], LAYER_NORM_EPSILON)

    def linear(x, name):
        observe(f"{name}.weight", x)
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def activation(x):
        if config["hidden_act"] == "quick_gelu":
            return x * torch.sigmoid(1.702 * x)
        return 0.5 * x * (1 + torch.erf(x / 2**0.5))

    x = F.conv2d(images, p["embeddings.patch_embedding.weight"], stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([p["embeddings.class_embedding"].expand(B, 1, D), x], 1) + p["embeddings.position_embedding.weight"]
    x = norm(x, "pre_layrnorm")
    T = x.shape[1]

    def split(x):
        return x.view(B, T, heads, head_width).transpose(1, 2)

    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layers.{i}"
        a = norm(x, f"{layer}.layer_norm1")
        q, k, v = (split(linear(a, f"{layer}.self_attn.{part}_proj")) for part in "qkv")
        mix = torch.softmax(q @ k.transpose(-1, -2) * head_width**-0.5, -1)
        x = x + linear((mix @ v).transpose(1, 2).reshape(B, T, D), f"{layer}.self_attn.out_proj")
        h = activation(linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1"))
        x = x + linear(h, f"{layer}.mlp.fc2")
    pooled = norm(x[:, 0], "post_layernorm")
    observe("visual_projection.weight", pooled)
    embeds = pooled @ p["visual_projection.weight"].T
    return embeds / embeds.norm(dim=-1, keepdim=True)


def merge(base, tau, lambda_nk):
    """base and tau [K, ...shape] per name, lambda [N,K] in the order of `base` -> base + sum_k lambda[n,k] tau_k."""
    return {name: base[name] + torch.tensordot(lambda_nk[n], tau[name], dims=1) for n, name in enumerate(base)}


def entropy(logits):
    """Mean Shannon entropy in nats of the rows of [B,C], through log-softmax."""
    log_p = F.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum(-1).mean()


def entropy_epsilon(logits):
    """The same as FusionBench writes it: mean of -sum p log(p + 1e-8)."""
    p = torch.softmax(logits, -1)
    return -(p * torch.log(p + 1e-8)).sum(-1).mean()


def task_losses(base, tau, lambda_nk, config, heads, images_per_task, objective=entropy):
    """One objective value per task, [tasks], differentiable in lambda."""
    merged = merge(base, tau, lambda_nk)
    losses = []
    for (weight, scale), images in zip(heads, images_per_task):
        logits = scale * tower_features(merged, config, images) @ weight.T
        losses.append(objective(logits))
    return torch.stack(losses)


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
            value.copy_(torch.as_tensor(drawn))


def preprocessor(size):
    """preprocessor_config.json in the form of the published CLIP checkpoints."""
    return {
        "crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN,
        "image_processor_type": "CLIPImageProcessor", "image_std": CLIP_STD, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"shortest_edge": size},
    }  # fmt: skip


def read_config(folder):
    """config.json of a saved tower as a plain dict, the vision part if it is nested."""
    config = json.loads((folder / "config.json").read_text())
    return config.get("vision_config", config)


def load_problem(dtype):
    """Base, task vectors (rounded to float32 first, as a stored bundle has them), heads and config in `dtype`."""
    names = json.loads((FOLDER / "step/fixture.json").read_text())
    base32 = load_file(FOLDER / names["base"] / "model.safetensors")
    experts32 = [load_file(FOLDER / "step" / folder / "model.safetensors") for folder in names["experts"]]
    base = {name: torch.from_numpy(base32[name]).to(dtype) for name in names["tensors"]}
    tau = {
        name: torch.from_numpy(np.stack([e[name] - base32[name] for e in experts32])).to(dtype) for name in base
    }
    heads = []
    for task in names["tasks"]:
        head = load_file(FOLDER / "step/heads" / f"{task}.safetensors")
        heads.append(tuple(torch.from_numpy(head[key]).to(dtype) for key in ("weight", "logit_scale")))
    return base, tau, heads, read_config(FOLDER / names["base"])


def save_arrays(path, **arrays):
    """Writes numpy arrays or tensors as one safetensors file."""
    plain = {k: np.ascontiguousarray(v.detach().numpy() if torch.is_tensor(v) else v) for k, v in arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(plain, path)
    path.chmod(0o644)
