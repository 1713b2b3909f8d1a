"""Makes heads/: 25 steps of Adam on heads and on adapters of the features, in float64 PyTorch, on the problem of step/.

make-step.py first. Autograd gives every gradient. Experts are base + tau of their own task, and teach by their predictions (KL) or their features (L1).
`scalar`: a coefficient per tensor and task together with all heads; `all_weights`: every merged weight together with all heads; `surgery`: adapters
features - up relu(down features) on the merged model, which stays what it is.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from clip import FOLDER, load_problem, merge, normalise, save_arrays, tower_features

STEPS = 25
INITIAL = 0.3
RANK = 3
RATES = {"scalar": 1e-2, "all_weights": 1e-3}
HEADS_RATE = 3e-3
SURGERY_RATE = 5e-3


def main():
    torch.set_num_threads(1)
    description = json.loads((FOLDER / "step/fixture.json").read_text())
    pixels = load_file(FOLDER / "step/fixture.safetensors")
    base, tau, heads, config = load_problem(torch.float64)
    tasks = description["tasks"]
    images = [normalise(pixels[f"pixels.{task}"], torch.float64) for task in tasks]
    with torch.no_grad():
        experts = [{name: base[name] + tau[name][task] for name in base} for task in range(len(tasks))]
        wanted = [tower_features(expert, config, x) for expert, x in zip(experts, images)]
        taught = [F.softmax(scale * f @ weight.T, -1) for f, (weight, scale) in zip(wanted, heads)]
    arrays = {}

    def kept(run, losses, **numbers):
        arrays[f"{run}.losses"] = torch.stack(losses)
        for name, value in numbers.items():
            arrays[f"{run}.{name}"] = value.detach().numpy().astype(np.float32)
        print(f"{run}: {losses[0].sum():.5f} -> {losses[-1].sum():.5f}")

    for run, rate in RATES.items():
        weights = [weight.clone().requires_grad_() for weight, _ in heads]
        biases = [torch.zeros(weight.shape[0], dtype=weight.dtype, requires_grad=True) for weight, _ in heads]
        if run == "scalar":
            own = [torch.full((len(base), len(tasks)), INITIAL, dtype=torch.float64, requires_grad=True)]
            merged = lambda: merge(base, tau, own[0])
        else:
            own = [(INITIAL * tau[name].sum(0)).requires_grad_() for name in base]
            merged = lambda: {name: base[name] + delta for name, delta in zip(base, own)}
        groups = [{"params": own, "lr": rate}, {"params": weights + biases, "lr": HEADS_RATE}]
        adam = torch.optim.Adam(groups)
        losses = []
        for _ in range(STEPS):
            model = merged()
            features = [tower_features(model, config, x) for x in images]
            logits = [scale * f @ w.T + b for f, w, b, (_, scale) in zip(features, weights, biases, heads)]
            step = torch.stack([
                (p * (p.log() - F.log_softmax(z, -1))).sum(-1).mean() for p, z in zip(taught, logits)
            ])  # fmt: skip
            adam.zero_grad()
            step.sum().backward()
            adam.step()
            losses.append(step.detach())
        named = {f"{task}.weight": weight for task, weight in zip(tasks, weights)}
        kept(run, losses, **named, **{f"{task}.bias": bias for task, bias in zip(tasks, biases)})

    rng = np.random.default_rng(5)
    size = heads[0][0].shape[1]
    down = [torch.tensor(rng.uniform(-1, 1, (RANK, size)) / size**0.5).float().double() for _ in tasks]
    arrays |= {f"surgery.{task}.start": value.numpy().astype(np.float32) for task, value in zip(tasks, down)}
    down = [value.clone().requires_grad_() for value in down]
    up = [torch.zeros((size, RANK), dtype=torch.float64, requires_grad=True) for _ in tasks]
    with torch.no_grad():
        model = merge(base, tau, torch.full((len(base), len(tasks)), INITIAL, dtype=torch.float64))
        features = [tower_features(model, config, x) for x in images]
    adam = torch.optim.Adam(down + up, lr=SURGERY_RATE)
    losses = []
    for _ in range(STEPS):
        adapted = [f - F.relu(f @ d.T) @ u.T for f, d, u in zip(features, down, up)]
        step = torch.stack([F.l1_loss(a, w) for a, w in zip(adapted, wanted)])
        adam.zero_grad()
        step.sum().backward()
        adam.step()
        losses.append(step.detach())
    named = {f"{task}.down": value for task, value in zip(tasks, down)}
    kept("surgery", losses, **named, **{f"{task}.up": value for task, value in zip(tasks, up)})
    save_arrays(FOLDER / "heads/fixture.safetensors", **arrays)


if __name__ == "__main__":
    main()
