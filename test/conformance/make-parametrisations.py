"""Makes parametrisations/: 25 steps of Adam on what learns outside the graph, in float64 PyTorch, on the problem of step/.

make-step.py first. Losses of every step and some of the merged tensors after the last; autograd gives every gradient, so that neither
G = dL/dW nor the parametrisations' own formulas are used here.
"""

import json

import numpy as np
import torch
from safetensors.numpy import load_file

from clip import FOLDER, entropy, load_problem, normalise, save_arrays, tower_features

STEPS = 25
INITIAL = 0.3
RANK = 4
RATES = {
    "scalar": 1e-2, "rows": 1e-2, "rows_columns": 1e-2, "singular": 1e-2, "element_wise": 1e-2, "all_weights": 1e-3,
    "masks": 7e-3, "low_rank": 1e-2,
}  # fmt: skip
RATIO = 0.75
TEMPERATURE = 10
KEPT = ("embeddings.patch_embedding.weight", "encoder.layers.0.mlp.fc1.weight", "encoder.layers.1.layer_norm1.weight")


def parameters_of(kind, base, tau):
    """Leaves of one tensor, and its merged value as a function of them."""
    tasks = tau.shape[0]
    flat = tau.reshape(tasks, tau.shape[1], -1) if base.ndim > 1 else None
    if kind == "all_weights":
        delta = (INITIAL * tau.sum(0)).clone()
        return [delta], lambda delta: base + delta
    if kind == "element_wise":
        return [torch.full_like(tau, INITIAL)], lambda alpha: base + (alpha * tau).sum(0)
    if base.ndim < 2 or kind == "scalar":
        return [torch.full((tasks,), INITIAL, dtype=tau.dtype)], lambda c: base + torch.tensordot(c, tau, dims=1)
    rows, columns = flat.shape[1:]
    a = torch.full((tasks, rows), INITIAL, dtype=tau.dtype)
    if kind == "rows":
        return [a], lambda a: base + (a[:, :, None] * flat).sum(0).reshape(base.shape)
    if kind == "rows_columns":
        b = torch.ones((tasks, columns), dtype=tau.dtype)
        return [a, b], lambda a, b: base + (a[:, :, None] * flat * b[:, None, :]).sum(0).reshape(base.shape)
    rank = min(RANK, rows, columns)
    if kind == "low_rank":
        at = torch.arange(columns, dtype=tau.dtype)
        cosines = [(i + 1) % columns for i in range(rank)]
        b = torch.stack([torch.cos(torch.pi * i * (2 * at + 1) / (2 * columns)) for i in cosines])
        b *= torch.tensor([((2 if i > 0 else 1) / columns) ** 0.5 for i in cosines])[:, None]
        a = torch.zeros((rows, rank), dtype=tau.dtype)
        c = torch.full((tasks,), INITIAL, dtype=tau.dtype)
        return [c, a, b], lambda c, a, b: base + torch.tensordot(c, tau, dims=1) + (a @ b).reshape(base.shape)
    u, s, vh = torch.linalg.svd(flat, full_matrices=False)
    if kind == "masks":
        count = s.shape[1]
        logits = torch.full((tasks, count), -0.1, dtype=tau.dtype)
        logits[:, : round(RATIO * count)] = 0.1
        c = torch.full((tasks,), INITIAL, dtype=tau.dtype)

        def masked(c, logits):
            soft = torch.sigmoid(logits / TEMPERATURE)
            mask = (soft >= 0.5).to(tau.dtype) + soft - soft.detach()
            return base + torch.einsum("t,tri,ti,tic->rc", c, u, mask * s, vh).reshape(base.shape)

        return [c, logits], masked
    leading = torch.einsum("tri,ti,tic->tirc", u[:, :, :rank], s[:, :rank], vh[:, :rank])
    rest = flat - leading.sum(1)
    c0 = torch.full((tasks,), INITIAL, dtype=tau.dtype)
    c = torch.full((tasks, rank), INITIAL, dtype=tau.dtype)

    def merged(c0, c):
        change = torch.einsum("t,trc->rc", c0, rest) + torch.einsum("ti,tirc->rc", c, leading)
        return base + change.reshape(base.shape)

    return [c0, c], merged


def main():
    torch.set_num_threads(1)
    description = json.loads((FOLDER / "step/fixture.json").read_text())
    pixels = load_file(FOLDER / "step/fixture.safetensors")
    base, tau, heads, config = load_problem(torch.float64)
    images = [normalise(pixels[f"pixels.{task}"], torch.float64) for task in description["tasks"]]
    arrays = {}
    for kind, rate in RATES.items():
        forms = {name: parameters_of(kind, base[name], tau[name]) for name in base}
        leaves = [leaf.requires_grad_() for values, _ in forms.values() for leaf in values]
        adam = torch.optim.Adam(leaves, lr=rate)

        def merged():
            return {name: merge(*values) for name, (values, merge) in forms.items()}

        losses = []
        for _ in range(STEPS):
            weights = merged()
            own = torch.stack([
                entropy(scale * tower_features(weights, config, x) @ weight.T) for (weight, scale), x in zip(heads, images)
            ])  # fmt: skip
            adam.zero_grad()
            own.sum().backward()
            adam.step()
            losses.append(own.detach())
        arrays[f"{kind}.losses"] = torch.stack(losses)
        for name in base:
            if name.endswith(KEPT):
                arrays[f"{kind}.merged.{name}"] = merged()[name].detach().numpy().astype(np.float32)
        print(f"{kind}: {losses[0].sum():.5f} -> {losses[-1].sum():.5f}")
    save_arrays(FOLDER / "parametrisations/fixture.safetensors", **arrays)


if __name__ == "__main__":
    main()
