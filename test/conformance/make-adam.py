"""Makes adam/: torch.optim.Adam alone on given gradients, and AdaMerging as 50 steps of it on the problem of step/.

In fit.safetensors the coefficients are clamped to [0, 1] in the forward pass, as in the official code, so that the gradient of a
coefficient outside is zero. fit-fusionbench.safetensors has FusionBench's form: no clamp, log(p + 1e-8), the projection
not merged. Each fit runs in float32, as people run it, and in float64, to tell rounding from mistakes.
"""

import json

import numpy as np
import torch

from clip import FOLDER, entropy, entropy_epsilon, load_problem, normalise, read_config, save_arrays, smooth_images, task_losses

STEPS, KEEP_EVERY, BATCH, IMAGES = 50, 10, 6, 60
LEARNING_RATE, START = 1e-2, 0.3
PROJECTION = "visual_projection.weight"
# One look per task, so that their image statistics differ: a colour shift in levels of 255.
TINTS = ((40, 0, -40), (-30, 30, 0), (0, -20, 40))


def optimiser_alone(rng):
    """10 parameters, 500 gradients of very different sizes, in float64, with and without weight decay."""
    start = rng.uniform(-1, 1, 10)
    gradients = rng.standard_normal((500, 10)) * np.array([1, 1e-3, 1e-6, 1e-8, 1e-12, 1e3, 1, 1, 0, 1])
    gradients[:, 6] += 2  # a steady slope
    gradients[250:, 7] = 0  # one that stops, so that only the moments move it
    gradients[1:, 9] *= 1e-4  # one large first gradient
    arrays = {"start": start, "gradients": gradients}
    for key, decay in (("plain", 0.0), ("decay", 0.01)):
        x = torch.tensor(start, requires_grad=True)
        adam = torch.optim.Adam([x], lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
        for step, gradient in enumerate(gradients, 1):
            x.grad = torch.from_numpy(gradient.copy())
            adam.step()
            if step in (1, 10, 500):
                arrays[f"{key}.after{step}"] = x.detach().clone()
        arrays[f"{key}.first_moment"] = adam.state[x]["exp_avg"]
        arrays[f"{key}.second_moment"] = adam.state[x]["exp_avg_sq"]
    save_arrays(FOLDER / "adam/optimiser.safetensors", **arrays)


def fit(dtype, pixels, indices, groups, to_rows, objective=entropy):
    """Losses [STEPS, tasks] before each update and coefficients [STEPS / KEEP_EVERY, G, K] after every tenth.

    `to_rows` makes the coefficients [N, K] of all tensors from those that are learned [G, K].
    """
    base, tau, heads, config = load_problem(dtype)
    images = [normalise(p, dtype) for p in pixels]
    coefficients = torch.full((groups, len(heads)), START, dtype=dtype, requires_grad=True)
    adam = torch.optim.Adam([coefficients], lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    losses, kept = [], []
    for step in range(STEPS):
        batches = [images[t][torch.from_numpy(indices[step, t]).long()] for t in range(len(images))]
        per_task = task_losses(base, tau, to_rows(coefficients), config, heads, batches, objective)
        adam.zero_grad()
        per_task.sum().backward()
        if step == 0:
            first_gradient = coefficients.grad.clone()
        adam.step()
        losses.append(per_task.detach())
        if (step + 1) % KEEP_EVERY == 0:
            kept.append(coefficients.detach().clone())
    return torch.stack(losses), torch.stack(kept), first_gradient


def fusionbench(pixels, indices, tensors, without_effect):
    """FusionBench's form: every tensor but the projection, which stays the base's, merged with unclamped coefficients."""
    learned = torch.tensor([n for n, name in enumerate(tensors) if name != PROJECTION])

    def to_rows(coefficients):
        return torch.zeros(len(tensors), coefficients.shape[1], dtype=coefficients.dtype).index_copy(0, learned, coefficients)

    arrays, results = {}, {}
    for precision, dtype in (("f32", torch.float32), ("f64", torch.float64)):
        results[precision] = fit(dtype, pixels, indices, len(learned), to_rows, entropy_epsilon)
        for key, value in zip(("losses", "lambda", "gradient"), results[precision]):
            arrays[f"layer.{precision}.{key}"] = value
    effective = [g for g, n in enumerate(learned.tolist()) if tensors[n] not in without_effect]
    (losses, kept, _), double = results["f32"], results["f64"]
    other_entropy = fit(torch.float64, pixels, indices, len(learned), to_rows, entropy)
    clamped = fit(torch.float64, pixels, indices, len(learned), lambda c: to_rows(c.clamp(0, 1)), entropy_epsilon)
    print(
        f"fusionbench: loss {double[0][0].sum():.4f} to {double[0][-1].sum():.4f}, "
        f"coefficients {double[1].min():.3f} to {double[1].max():.3f}, {(double[1][-1] < 0).sum()} below 0; "
        f"float32 - float64: losses {(losses - double[0]).abs().max():.1e}, "
        f"coefficients with effect {(kept - double[1]).abs()[:, effective].max():.1e}; "
        f"log-softmax instead: {(other_entropy[1] - double[1]).abs()[:, effective].max():.1e}, "
        f"clamp instead: {(clamped[1] - double[1]).abs()[:, effective].max():.1e}"
    )
    save_arrays(FOLDER / "adam/fit-fusionbench.safetensors", **arrays)


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(20)
    optimiser_alone(rng)
    names = json.loads((FOLDER / "step/fixture.json").read_text())
    size = read_config(FOLDER / names["base"])["image_size"]
    tasks, tensors = names["tasks"], names["tensors"]
    pixels = [smooth_images(rng, IMAGES, size, tint=tint) for tint in TINTS]
    indices = np.stack([[rng.permutation(IMAGES)[:BATCH] for _ in tasks] for _ in range(STEPS)]).astype(np.int32)
    arrays = {f"pixels.{task}": p for task, p in zip(tasks, pixels)}
    arrays["indices"] = indices
    effective = [n for n, name in enumerate(tensors) if name not in names["withoutEffect"]]
    rows = {"layer": np.arange(len(tensors)), "task": np.zeros(len(tensors), int)}
    for granularity, groups in rows.items():
        results = {}
        for precision, dtype in (("f32", torch.float32), ("f64", torch.float64)):
            results[precision] = fit(dtype, pixels, indices, groups.max() + 1, lambda c, rows=groups: c.clamp(0, 1)[rows])
            for key, value in zip(("losses", "lambda", "gradient"), results[precision]):
                arrays[f"{granularity}.{precision}.{key}"] = value
        single, double = results["f32"], results["f64"]
        kept = effective if granularity == "layer" else [0]
        apart = (single[1] - double[1]).abs()
        print(
            f"{granularity}: loss {double[0][0].sum():.4f} to {double[0][-1].sum():.4f}, "
            f"coefficients {double[1].min():.3f} to {double[1].max():.3f}, {(double[1][-1] < 0).sum()} below 0; "
            f"float32 - float64: losses {(single[0] - double[0]).abs().max():.1e}, "
            f"coefficients with effect {apart[:, kept].max():.1e}, all {apart.max():.1e}"
        )
        print(" per kept step", [f"{v:.1e}" for v in apart[:, kept].amax((1, 2))])
    save_arrays(FOLDER / "adam/fit.safetensors", **arrays)
    fusionbench(pixels, indices, tensors, names["withoutEffect"])


if __name__ == "__main__":
    main()
