"""Makes probe/: RegMean, RegMean++, LOT, Fisher and hard Frank-Wolfe merging of the experts of step/, in float64, on the images of step/.

Run make-step.py first. Written from the papers (arXiv 2212.09849, 2508.03121, 2505.23859, 2111.09832) and the conventions that
src/merge/methods states: off-diagonals of the Gram matrices are multiplied with 0.9 here, the Fisher information is exact over the
classes, each expert's is divided by its norm over the whole model, and its floor is 1e-6.

Legend: B images, I inputs and O outputs of a linear layer, C classes.
"""

import math

import torch
from safetensors.numpy import load_file

from clip import FOLDER, load_problem, normalise, save_arrays, short, tower_features

OFF_DIAGONAL = 0.9
FLOOR = 1e-6


def grams(weights, config, images):
    """X^T X [I,I] of the inputs of every linear layer, by the short name of its weight."""
    found = {}

    def observe(name, x):
        rows = x.reshape(-1, x.shape[-1])
        found[name] = rows.T @ rows

    tower_features(weights, config, images, observe)
    return found


def mean_of(experts, name):
    return sum(expert[name] for expert in experts) / len(experts)


def regression(experts, inputs, name):
    """The layer nearest to the experts' in least squares: (sum G)^-1 sum G W^T, as W [O,I]."""
    left, right = 0, 0
    for expert, gram in zip(experts, inputs):
        G = gram[short(name)]
        G = OFF_DIAGONAL * G + (1 - OFF_DIAGONAL) * torch.diag(torch.diag(G))
        left, right = left + G, right + G @ expert[name].T
    return torch.linalg.solve(left, right).T


def regmean(experts, config, images):
    inputs = [grams(expert, config, own) for expert, own in zip(experts, images)]
    return {
        name: regression(experts, inputs, name) if short(name) in inputs[0] else mean_of(experts, name)
        for name in experts[0]
    }


def stage(name, layers):
    """0 before the blocks, 1 + i block i, the last what comes after them."""
    name = short(name)
    if name.startswith("encoder.layers."):
        return 1 + int(name.split(".")[2])
    return 0 if name.startswith(("embeddings.", "pre_layrnorm.")) else layers + 1


def regmean_pp(experts, config, images):
    layers = config["num_hidden_layers"]
    merged = {}
    for now in range(layers + 2):
        inputs = [grams({**expert, **merged}, config, own) for expert, own in zip(experts, images)]
        for name in experts[0]:
            if stage(name, layers) == now:
                is_linear = short(name) in inputs[0]
                merged[name] = regression(experts, inputs, name) if is_linear else mean_of(experts, name)
    return merged


def lot(base, experts, config, images, scale, tolerance):
    """theta0 + scale T*: equation 9 of the paper for linear layers, equation 12 for scales of norms, means for the rest."""
    inputs = [grams(expert, config, own) for expert, own in zip(experts, images)]
    squares = []
    for expert, own in zip(experts, images):
        found = {}
        tower_features(expert, config, own, observe_scale=lambda name, x: found.__setitem__(name, (x**2).flatten(0, -2).sum(0)))
        squares.append(found)
    merged, gaps = {}, []
    for name in base:
        changes = [expert[name] - base[name] for expert in experts]
        if short(name) in inputs[0]:
            total = sum(G[short(name)] for G in inputs)
            values = torch.linalg.eigvalsh(total)
            gaps += [(values / values.max() / tolerance).tolist()]
            right = sum(G[short(name)] @ change.T for G, change in zip(inputs, changes))
            change = (torch.linalg.pinv(total, rtol=tolerance, hermitian=True) @ right).T
        elif short(name) in squares[0]:
            change = sum(s[short(name)] * c for s, c in zip(squares, changes)) / sum(s[short(name)] for s in squares)
        else:
            change = sum(changes) / len(changes)
        merged[name] = base[name] + scale * change
    near = sorted((value for own in gaps for value in own), key=lambda value: abs(math.log(max(value, 1e-300))))
    left_out = sum(value <= 1 for own in gaps for value in own)
    print(f"lot: {left_out} directions left out; nearest to the tolerance: {near[0]:.3g} of it")
    return merged


def fisher_of(expert, config, images, head):
    """Mean over images of sum_c p_c (d log p_c / d theta)^2, by name."""
    weight, scale = head
    leaves = {name: value.clone().requires_grad_() for name, value in expert.items()}
    total = {name: torch.zeros_like(value) for name, value in expert.items()}
    for image in images:
        log_p = torch.log_softmax(scale * tower_features(leaves, config, image[None]) @ weight.T, -1)[0]
        for value in log_p:
            slopes = torch.autograd.grad(value, list(leaves.values()), retain_graph=True)
            for name, slope in zip(leaves, slopes):
                total[name] += value.exp().detach() * slope**2 / len(images)
    return total


def fisher(experts, config, images, heads):
    found = []
    for expert, own, head in zip(experts, images, heads):
        own = fisher_of(expert, config, own, head)
        norm = torch.sqrt(sum((value**2).sum() for value in own.values()))
        found.append({name: torch.clamp(value / norm, min=FLOOR) for name, value in own.items()})
    return {
        name: sum(f[name] * e[name] for f, e in zip(found, experts)) / sum(f[name] for f in found)
        for name in experts[0]
    }


def entropy_gradient(model, config, images, head):
    weight, scale = head
    leaves = {name: value.clone().requires_grad_() for name, value in model.items()}
    log_p = torch.log_softmax(scale * tower_features(leaves, config, images) @ weight.T, -1)
    slopes = torch.autograd.grad(-(log_p.exp() * log_p).sum(-1).mean(), list(leaves.values()))
    return dict(zip(leaves, slopes))


def frank_wolfe(base, experts, config, images, heads, per_tensor, iterations=10, step_size=0.9, scale=0.3):
    """arXiv 2503.12649, hard, on the entropy; the models themselves are the vertices, and task arithmetic's model is one of them."""
    start = {name: base[name] + scale * sum(e[name] - base[name] for e in experts) for name in base}
    pool, merged, picks = experts + [start], start, []
    for iteration in range(iterations):
        slopes = [entropy_gradient(merged, config, own, head) for own, head in zip(images, heads)]
        slope = {name: sum(s[name] for s in slopes) for name in base}
        size = torch.sqrt(sum(s.norm() ** 2 for s in slope.values()))
        # The gradient of a key bias is 0, since softmax does not see it: its direction is rounding.
        known = {name for name in base if slope[name].norm() > 1e-5 * size}
        cosine = [
            {name: float((slope[name] * m[name]).sum() / (slope[name].norm() * m[name].norm())) for name in known} for m in pool
        ]
        whole = min(range(len(pool)), key=lambda index: sum(cosine[index].values()))
        step = scale * step_size * 2 / (iteration + 2)
        pick = {name: whole for name in base}
        if per_tensor:
            pick = {name: min(range(len(pool)), key=lambda i: cosine[i][name]) for name in known}
        merged = {
            name: merged[name] + step * (pool[pick[name]][name] - merged[name]) if name in pick else merged[name]
            for name in base
        }
        picks.append(sorted(set(pick.values())))
    print("picked in turn:", picks)
    return merged


def main():
    torch.set_num_threads(1)
    base, tau, heads, config = load_problem(torch.float64)
    experts = [{name: base[name] + tau[name][k] for name in base} for k in range(len(heads))]
    pixels = load_file(FOLDER / "step/fixture.safetensors")
    tasks = [key for key in pixels if key.startswith("pixels.")]
    images = [normalise(pixels[key], torch.float64) for key in sorted(tasks)]
    merged = {
        "regmean": regmean(experts, config, images),
        "regmean_pp": regmean_pp(experts, config, images),
        "lot": lot(base, experts, config, images, scale=1.2, tolerance=1e-3),
        "fisher": fisher(experts, config, images, heads),
        "fw_hard": frank_wolfe(base, experts, config, images, heads, per_tensor=False),
        "fw_hard_tensor": frank_wolfe(base, experts, config, images, heads, per_tensor=True),
    }
    arrays = {f"{method}/{name}": value.float() for method, model in merged.items() for name, value in model.items()}
    save_arrays(FOLDER / "probe/fixture.safetensors", **arrays)
    for method, model in merged.items():
        moved = max(float((model[name] - base[name]).abs().max()) for name in base)
        print(f"{method}: largest change {moved:.3f}")


if __name__ == "__main__":
    main()
