"""Makes step/: a base with three experts and three heads, and one AdaMerging step on them in float64.

Base: tower-quick-gelu/ (make-tower.py first). Losses and gradients are autograd's; the ones for layer-wise coefficients
are also checked here against central differences.
"""

import json
import shutil

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from clip import (
    CLIP_MEAN, CLIP_STD, FOLDER, entropy, entropy_epsilon, load_problem, normalise, save_arrays, short, smooth_images, task_losses,
)  # fmt: skip

BASE = "tower-quick-gelu"
CLASSES = {"alpha": 5, "beta": 3, "gamma": 7}
# Different scales, so that a mix-up of heads shows.
LOGIT_SCALES = {"alpha": 10.0, "beta": 12.0, "gamma": 8.0}
BATCH = 6
EXPERTS = 3


def block_of(name, layers):
    """Block-wise groups: 0 embeddings and pre-norm, 1 + i encoder layer i, the last post-norm and projection."""
    name = short(name)
    if name.startswith("encoder.layers."):
        return 1 + int(name.split(".")[2])
    return 0 if name.startswith(("embeddings.", "pre_layrnorm.")) else layers + 1


def write_inputs(rng):
    """experts/<i>/, heads/<task>.safetensors and fixture.json."""
    folder = FOLDER / "step"
    base = load_file(FOLDER / BASE / "model.safetensors")
    layers = json.loads((FOLDER / BASE / "config.json").read_text())["num_hidden_layers"]
    # The order of the forward pass, not of the alphabet: embeddings first, projection last.
    tensors = sorted(base, key=lambda name: (block_of(name, layers), name))
    for k in range(EXPERTS):
        expert = folder / "experts" / str(k)
        expert.mkdir(parents=True, exist_ok=True)
        spread = {name: 0.5 * max(float(base[name].std()), 0.05) for name in tensors}
        weights = {n: (base[n] + spread[n] * rng.standard_normal(base[n].shape)).astype(np.float32) for n in tensors}
        save_file(weights, expert / "model.safetensors", metadata={"format": "pt"})
        (expert / "model.safetensors").chmod(0o644)
        for file in ("config.json", "preprocessor_config.json"):
            shutil.copyfile(FOLDER / BASE / file, expert / file)
    width = base["visual_projection.weight"].shape[0]
    (folder / "heads").mkdir(exist_ok=True)
    for task, classes in CLASSES.items():
        weight = rng.standard_normal((classes, width))
        weight = (weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32)
        scale = np.array([LOGIT_SCALES[task]], np.float32)
        save_arrays(folder / "heads" / f"{task}.safetensors", weight=weight, logit_scale=scale)
    description = {
        "base": BASE,
        "experts": [f"experts/{k}" for k in range(EXPERTS)],
        "tasks": list(CLASSES),
        "classes": list(CLASSES.values()),
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
        "tensors": tensors,
        "blocks": [block_of(name, layers) for name in tensors],
        # A bias of the keys adds the same number to every score of a row, which softmax ignores: exact gradient 0.
        "withoutEffect": [name for name in tensors if name.endswith("k_proj.bias")],
    }
    (folder / "fixture.json").write_text(json.dumps(description, indent=1) + "\n")
    return description


def gradient(parameters, rows, problem, objective):
    """Loss per task and gradient of their sum at `parameters` [G,K]; rows [N] names the group of each tensor."""
    parameters = torch.tensor(parameters, requires_grad=True)
    losses = losses_at(parameters[rows], problem, objective)
    losses.sum().backward()
    return losses.detach(), parameters.grad


def losses_at(lambda_nk, problem, objective):
    base, tau, heads, config, images = problem
    return task_losses(base, tau, lambda_nk, config, heads, images, objective)


def central_difference(lambda_nk, problem, objective, step=1e-5):
    """d(sum of losses)/d lambda [N,K] by central differences."""
    result = np.zeros_like(lambda_nk)
    for index in np.ndindex(*lambda_nk.shape):
        sides = []
        for sign in (1, -1):
            moved = lambda_nk.copy()
            moved[index] += sign * step
            with torch.no_grad():
                sides.append(losses_at(torch.from_numpy(moved), problem, objective).sum().item())
        result[index] = (sides[0] - sides[1]) / (2 * step)
    return result


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(10)
    description = write_inputs(rng)
    size = json.loads((FOLDER / BASE / "config.json").read_text())["image_size"]
    pixels = {task: smooth_images(rng, BATCH, size) for task in description["tasks"]}
    base, tau, heads, config = load_problem(torch.float64)
    images = [normalise(pixels[task], torch.float64) for task in description["tasks"]]
    problem = (base, tau, heads, config, images)
    blocks = np.array(description["blocks"])
    rows = {"layer": np.arange(len(base)), "block": blocks, "task": np.zeros(len(base), int)}
    arrays = {f"pixels.{task}": value for task, value in pixels.items()}
    for granularity, groups in rows.items():
        at = 0.3 + 0.1 * rng.standard_normal((groups.max() + 1, EXPERTS))
        arrays[f"{granularity}.lambda"] = at
        for form, objective in (("entropy", entropy), ("epsilon", entropy_epsilon)):
            losses, slope = gradient(at, groups, problem, objective)
            arrays[f"{granularity}.{form}.losses"] = losses
            arrays[f"{granularity}.{form}.gradient"] = slope
            print(f"{granularity} {form}: losses {losses.numpy()}, largest gradient {slope.abs().max():.3f}")
            if granularity == "layer":
                worst = np.abs(central_difference(at, problem, objective) - slope.numpy()).max()
                assert worst < 1e-8, f"autograd and central differences disagree by {worst}"
    save_arrays(FOLDER / "step/fixture.safetensors", **arrays)


if __name__ == "__main__":
    main()
