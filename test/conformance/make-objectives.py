"""Makes objectives/: 25 steps of Adam on layer-wise coefficients with what experts teach, in float64 PyTorch, on the problem of step/.

make-step.py first. Losses of every step and the coefficients after the last. Divergences are written from their definitions, the
filter of pseudo-labels example by example, as SyMerge's paper has it; sharpness-aware steps as SAM's and ASAM's papers have them.
"""

import json

import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from clip import FOLDER, entropy, load_problem, merge, normalise, save_arrays, tower_features

STEPS = 25
RATE = 1e-2
INITIAL = 0.3


def divergence(kind, temperature):
    """Mean over examples of a divergence between softened predictions."""

    def loss(logits, expert, *_):
        p, q = F.softmax(expert / temperature, -1), F.softmax(logits / temperature, -1)
        if kind == "kl":
            return (p * (p / q).log()).sum(-1).mean()
        if kind == "reverse_kl":
            return (q * (q / p).log()).sum(-1).mean()
        m = (p + q) / 2
        return ((p * (p / m).log()).sum(-1) / 2 + (q * (q / m).log()).sum(-1) / 2).mean()

    return loss


def pseudo_label(logits, expert, *_):
    """Cross-entropy with the expert's class over the examples where the student agrees or is less sure than the expert."""
    kept = []
    for student, teacher in zip(logits, expert):
        q, p = F.softmax(student, -1), F.softmax(teacher, -1)
        label = int(p.argmax())
        if int(q.argmax()) == label or float(p.max()) >= float(q.detach().max()):
            kept.append(-q[label].log())
    pseudo_label.kept += len(kept)
    return torch.stack(kept).mean() if kept else logits.sum() * 0


pseudo_label.kept = 0

OBJECTIVES = {
    "kl_2": divergence("kl", 2.0),
    "reverse_kl_1": divergence("reverse_kl", 1.0),
    "reverse_kl_3": divergence("reverse_kl", 3.0),
    "js_1": divergence("js", 1.0),
    "js_0.5": divergence("js", 0.5),
    "pseudo_label": pseudo_label,
    "feature_l1": lambda logits, expert, features, wanted: F.l1_loss(features, wanted),
    "feature_l2": lambda logits, expert, features, wanted: F.mse_loss(features, wanted),
}


def perturbation(values, slope, rho, adaptive):
    """SAM (arXiv:2010.01412, equation 2), or ASAM (arXiv:2102.11600, equation 8) with T = |values|."""
    if adaptive:
        return rho * values**2 * slope / (values.abs() * slope).norm()
    return rho * slope / slope.norm()


def main():
    torch.set_num_threads(1)
    description = json.loads((FOLDER / "step/fixture.json").read_text())
    pixels = load_file(FOLDER / "step/fixture.safetensors")
    base, tau, heads, config = load_problem(torch.float64)
    images = [normalise(pixels[f"pixels.{task}"], torch.float64) for task in description["tasks"]]
    teachers = []
    for k, ((weight, scale), x) in enumerate(zip(heads, images)):
        features = tower_features({name: base[name] + tau[name][k] for name in base}, config, x)
        teachers.append((scale * features @ weight.T, features))

    def losses_at(values, objective):
        merged = merge(base, tau, values)
        found = []
        for (weight, scale), x, (expert, wanted) in zip(heads, images, teachers):
            features = tower_features(merged, config, x)
            found.append(objective(scale * features @ weight.T, expert, features, wanted))
        return torch.stack(found)

    runs = {name: (objective, None) for name, objective in OBJECTIVES.items()}
    runs["sam"] = (lambda logits, *_: entropy(logits), (0.2, False))
    runs["sam_adaptive"] = (divergence("kl", 2.0), (0.5, True))
    arrays = {}
    for name, (objective, sam) in runs.items():
        values = torch.full((len(base), len(heads)), INITIAL, dtype=torch.float64, requires_grad=True)
        adam = torch.optim.Adam([values], lr=RATE)
        losses = []
        for _ in range(STEPS):
            own = losses_at(values, objective)
            (slope,) = torch.autograd.grad(own.sum(), values)
            if sam is not None:
                moved = (values + perturbation(values, slope, *sam)).detach().requires_grad_()
                (slope,) = torch.autograd.grad(losses_at(moved, objective).sum(), moved)
            values.grad = slope
            adam.step()
            losses.append(own.detach())
        arrays[f"{name}.losses"] = torch.stack(losses)
        arrays[f"{name}.lambda"] = values.detach().clone()
        print(f"{name}: {losses[0].sum():.5f} -> {losses[-1].sum():.5f}")
    print(f"pseudo-labels kept: {pseudo_label.kept} of {STEPS * sum(len(x) for x in images)}")
    save_arrays(FOLDER / "objectives/fixture.safetensors", **arrays)


if __name__ == "__main__":
    main()
