"""Merging methods written plainly in PyTorch on whole flattened vectors, in float64, for the fixture of merge-methods.test.ts.

Each function follows the paper or the official code named above it, not `src/`. Run: python make-merge-methods.py
Legend: K tasks, D elements of the whole model; base [D], taus [K, D]; `spans` gives each tensor's slice and shape.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent / "merge-methods"
SHAPES = {
    "embeddings.patch.weight": (6, 3, 2, 2),
    "embeddings.class": (12,),
    "encoder.layers.0.fc1.weight": (14, 9),
    "encoder.layers.0.fc1.bias": (14,),
    "encoder.layers.1.fc1.weight": (9, 14),
    "encoder.layers.1.norm.weight": (9,),
    "encoder.layers.2.out.weight": (12, 12),
    "projection.weight": (5, 12),
}
K = 3


def spans():
    start = 0
    for name, shape in SHAPES.items():
        size = int(np.prod(shape))
        yield name, slice(start, start + size), shape
        start += size


def average(base, taus):
    return base + taus.mean(0)


def task_arithmetic(base, taus, scale):
    return base + scale * taus.sum(0)


# ties-merging @44e7891, ties_merging_utils.py
def ties_vectors(taus, density):
    d = taus.shape[1]
    k = d - int(d * density)
    kept = taus.clone()
    if k >= 1:
        threshold = taus.abs().kthvalue(k, dim=1, keepdim=True).values
        kept = torch.where(taus.abs() >= threshold, taus, torch.zeros(()).to(taus))
    sign = torch.sign(kept.sum(0))
    majority = torch.sign(sign.sum())
    sign = torch.where(sign == 0, majority, sign)
    agrees = torch.where(sign.unsqueeze(0) > 0, kept > 0, kept < 0)
    return kept * agrees


def ties(base, taus, density, aggregation, scale):
    chosen = ties_vectors(taus, density)
    merged = chosen.sum(0)
    if aggregation == "mean":
        merged = merged / (chosen != 0).sum(0).clamp(min=1)
    return base + scale * merged


# mergekit, sparsify.py magnitude_outliers
def breadcrumbs(base, taus, density, gamma, scale):
    out = base.clone()
    for _, span, _ in spans():
        part = taus[:, span].clone()
        n = part.shape[1]
        top, keep = int(gamma * n), int(density * n)
        bottom = n - keep - top
        if bottom < 0:
            top, bottom = top + bottom, 0
        for row in part:
            order = torch.sort(row.abs()).indices
            row[order[:bottom]] = 0
            row[order[n - top :]] = 0
        out[span] += scale * part.sum(0)
    return out


# tall_masks @d10af8b
def consensus(base, taus, mask_threshold, min_tasks, scale):
    total = taus.sum(0)
    masks = taus.abs() >= mask_threshold * (total - taus).abs()
    return base + scale * total * (masks.sum(0) >= min_tasks)


# The same masks, one for each task (its compression).
def tall_mask(base, taus, mask_threshold):
    total = taus.sum(0)
    masks = taus.abs() >= mask_threshold * (total - taus).abs()
    return [base + mask * total for mask in masks]


# WUDI-Merging (arXiv 2503.08099)
def wudi(base, taus, steps, learning_rate):
    out = base.clone()
    for _, span, shape in spans():
        if len(shape) != 2:
            out[span] += taus[:, span].mean(0)
            continue
        vectors = taus[:, span].reshape(-1, *shape)
        merged = torch.nn.Parameter(vectors.sum(0))
        adam = torch.optim.Adam([merged], lr=learning_rate)
        for _ in range(steps):
            adam.zero_grad()
            inner = (merged - vectors) @ vectors.transpose(1, 2)
            ((inner**2).sum((1, 2)) / (vectors**2).sum((1, 2))).sum().backward()
            adam.step()
        out[span] += merged.detach().flatten()
    return out


# pcb-merging @5897888
def pcb(base, taus, ratio, scale=None, task_scales=None):
    d = taus.shape[1]

    def clamp(x, low, high):
        ranked = torch.sort(x, dim=1).values
        return torch.clamp(x, ranked[:, int(d * low)].unsqueeze(1), ranked[:, int(d * (1 - high) - 1)].unsqueeze(1))

    def normalise(x):
        low, high = x.min(1, keepdim=True).values, x.max(1, keepdim=True).values
        return (x - low) / (high - low)

    magnitude = clamp(taus.abs(), 1e-4, 1e-4)
    score = torch.exp(taus.shape[0] * normalise(magnitude) ** 2) * torch.tanh(taus * taus.sum(0))
    weight = normalise(clamp(score, 1 - ratio, 0))
    scales = torch.tensor(task_scales or [scale] * taus.shape[0], dtype=taus.dtype).unsqueeze(1)
    return base + (scales * torch.sign(taus) * magnitude * weight).sum(0) / weight.sum(0).clamp(min=1e-12)


# LiNeS @43a7bdd
def lines(base, taus, merge, alpha, beta):
    total = taus.sum(0)
    change = total if merge == "sum" else ties_vectors(taus, 0.2).sum(0)
    first = float(total.abs().sum() / change.abs().sum() / taus.shape[0]) if alpha is None else alpha
    out = base.clone()
    for name, span, _ in spans():
        block = int(name.split("layers.")[1].split(".")[0]) if "layers." in name else None
        out[span] += change[span] * (first if block is None else first + beta * block / 2)
    return out


# mergekit, merge_methods/sce.py
def sce(base, taus, select_topk, scale):
    out = base.clone()
    for _, span, _ in spans():
        part = taus[:, span].clone()
        if select_topk < 1:
            variance = part.var(0, unbiased=False)
            k = int(torch.count_nonzero(variance) * select_topk)
            mask = torch.zeros_like(variance)
            mask[torch.topk(variance, k).indices] = 1
            part = part * mask
        sign = torch.where(part.sum(0) >= 0, 1.0, -1.0)
        agrees = torch.sign(part) == sign
        weight = (part**2).mean(1)
        weight = (weight / weight.sum()).unsqueeze(1) * agrees
        out[span] += scale * torch.nan_to_num((part * weight).sum(0) / weight.sum(0))
    return out


# Task singular vectors (arXiv 2412.00081)
def tsv_m(base, taus, scale):
    out = base.clone()
    for _, span, shape in spans():
        if len(shape) != 2:
            out[span] += scale * taus[:, span].mean(0)
            continue
        rank = min(shape)
        kept = rank // taus.shape[0]
        u = torch.zeros(shape[0], rank, dtype=taus.dtype)
        s = torch.zeros(rank, dtype=taus.dtype)
        v = torch.zeros(rank, shape[1], dtype=taus.dtype)
        for t, tau in enumerate(taus[:, span]):
            ut, st, vt = torch.linalg.svd(tau.reshape(shape), full_matrices=False)
            here = slice(t * kept, (t + 1) * kept)
            u[:, here], s[here], v[here] = ut[:, :kept], st[:kept], vt[:kept]
        uu, _, uv = torch.linalg.svd(u, full_matrices=False)
        vu, _, vv = torch.linalg.svd(v, full_matrices=False)
        out[span] += scale * torch.linalg.multi_dot((uu, uv, torch.diag(s), vu, vv)).flatten()
    return out


# Isotropic merging (arXiv 2502.04959)
def iso_c(base, taus, scale):
    out = base.clone()
    for _, span, shape in spans():
        if len(shape) != 2:
            out[span] += scale * taus[:, span].mean(0)
            continue
        u, s, v = torch.linalg.svd(taus[:, span].sum(0).reshape(shape), full_matrices=False)
        out[span] += scale * (u @ v * s.mean()).flatten()
    return out


# Isotropic merging in common and task-specific subspaces (arXiv 2502.04959, algorithm 2)
def iso_cts(base, taus, scale, common):
    out = base.clone()
    for _, span, shape in spans():
        if len(shape) != 2:
            out[span] += scale * taus[:, span].mean(0)
            continue
        n = min(shape)
        shared = n - round((n - int(common * n)) / K) * K
        own = (n - shared) // K
        total = taus[:, span].sum(0).reshape(shape)
        u, s, v = torch.linalg.svd(total, full_matrices=False)
        left, values, right = [], [], []
        outside = torch.eye(shape[0], dtype=u.dtype) - u[:, :shared] @ u[:, :shared].T
        for tau in taus[:, span]:
            ut, st, vt = torch.linalg.svd(outside @ tau.reshape(shape), full_matrices=False)
            left.append(ut[:, :own])
            values.append(st[:own])
            right.append(vt[:own])
        left, values, right = torch.cat([*left, u[:, :shared]], 1), torch.cat([*values, s[:shared]]), torch.cat([*right, v[:shared]])
        lu, _, lv = torch.linalg.svd(left, full_matrices=False)
        ru, _, rv = torch.linalg.svd(right, full_matrices=False)
        out[span] += scale * values.mean() * (lu @ lv @ ru @ rv).flatten()
    return out


# Singular-value calibration (arXiv 2602.05536, in FusionBench's form)
def svc(base, taus, scale, floor):
    out = base.clone()
    for _, span, shape in spans():
        if len(shape) != 2:
            out[span] += scale * taus[:, span].mean(0)
            continue
        own = [tau.reshape(shape) for tau in taus[:, span]]
        total = sum(own)
        u, s, v = torch.linalg.svd(total, full_matrices=False)
        for r in range(len(s)):
            a = u[:, r] @ total
            counted = [max(floor, float(a @ (u[:, r] @ tau) / (u[:, r] @ tau).square().sum())) for tau in own]
            s[r] *= K / sum(counted)
        out[span] += scale * (u @ torch.diag(s) @ v).flatten()
    return out


# KnOTS with TIES (arXiv 2410.19735, official code: SVDMerger, ties_merging; top-k over the whole model)
def knots(base, taus, density, aggregation, scale):
    bases, parts = [], []
    for _, span, shape in spans():
        own = taus[:, span]
        if len(shape) != 2:
            bases.append(None)
            parts.append(own)
            continue
        u, s, v = torch.linalg.svd(torch.cat([tau.reshape(shape) for tau in own], 1), full_matrices=False)
        kept = s > 1e-5
        bases.append(u[:, kept])
        parts.append(torch.stack([(torch.diag(s[kept]) @ vk).flatten() for vk in v[kept].split(shape[1], 1)]))
    aligned = torch.cat(parts, 1)
    count = aligned.shape[1]
    least = aligned.abs().kthvalue(count - int(count * density), 1, keepdim=True).values
    aligned = torch.where(aligned.abs() >= least, aligned, 0)
    sign = torch.sign(aligned.sum(0))
    sign[sign == 0] = torch.sign(sign.sum())
    agreed = torch.where(torch.where(sign > 0, aligned > 0, aligned < 0), aligned, 0)
    merged = agreed.sum(0) / ((agreed != 0).sum(0).clamp(min=1) if aggregation == "mean" else 1)
    out, start = base.clone(), 0
    for (_, span, shape), u, part in zip(spans(), bases, parts):
        own = merged[start : start + part.shape[1]]
        start += part.shape[1]
        out[span] += scale * (own if u is None else (u @ own.reshape(-1, shape[1])).flatten())
    return out


# CART (arXiv 2412.12153)
def cart(base, taus, ratio, scale):
    experts = base + taus
    out = experts.mean(0)
    centred = experts - out
    for _, span, shape in spans():
        if len(shape) != 2:
            continue
        rank = max(1, int(ratio * min(shape)))
        for tau in centred[:, span]:
            u, s, v = torch.linalg.svd(tau.reshape(shape), full_matrices=False)
            out[span] += scale * (u[:, :rank] @ torch.diag(s[:rank]) @ v[:rank]).flatten()
    return out


# EMR-Merging (arXiv 2405.17461)
def emr(base, taus):
    sign = torch.sign(taus.sum(0))
    size = torch.where(torch.sign(taus) == sign, taus.abs(), 0).max(0).values
    unified = sign * size
    masks = (taus * unified) > 0
    factor = taus.abs().sum(1) / (masks * unified.abs()).sum(1)
    return [base + factor[t] * masks[t] * unified for t in range(taus.shape[0])]


CASES = [
    ("weight_averaging", average, {}),
    ("task_arithmetic", task_arithmetic, {"scale": 0.3}),
    ("ties", ties, {"density": 0.2, "aggregation": "sum", "scale": 0.3}),
    ("ties", ties, {"density": 0.5, "aggregation": "mean", "scale": 1}),
    ("breadcrumbs", breadcrumbs, {"density": 0.6, "gamma": 0.1, "scale": 0.3}),
    ("breadcrumbs", breadcrumbs, {"density": 0.95, "gamma": 0.2, "scale": 0.3}),
    ("consensus", consensus, {"mask_threshold": 0.4, "min_tasks": 2, "scale": 0.3}),
    ("pcb", pcb, {"ratio": 0.1, "scale": 1.2}),
    ("pcb", pcb, {"ratio": 0.4, "scale": 1}),
    ("pcb", pcb, {"ratio": 0.05, "task_scales": [0.8, 1.3, 1.1, 0.9][:K]}),
    ("lines", lines, {"merge": "sum", "alpha": None, "beta": 0.5}),
    ("lines", lines, {"merge": "ties", "alpha": None, "beta": 0.7}),
    ("sce", sce, {"select_topk": 1, "scale": 1}),
    ("sce", sce, {"select_topk": 0.3, "scale": 0.8}),
    ("tsv_m", tsv_m, {"scale": 1}),
    ("iso_c", iso_c, {"scale": 1.5}),
    ("emr", emr, {}),
    ("tall_mask", tall_mask, {"mask_threshold": 0.4}),
    ("wudi", wudi, {"steps": 300, "learning_rate": 1e-5}),
    ("wudi", wudi, {"steps": 50, "learning_rate": 1e-3}),
    ("iso_cts", iso_cts, {"scale": 1, "common": 0.8}),
    ("iso_cts", iso_cts, {"scale": 1.3, "common": 0.4}),
    ("svc", svc, {"scale": 1, "floor": 0.1}),
    ("svc", svc, {"scale": 0.7, "floor": 1.5}),
    ("cart", cart, {"ratio": 0.2, "scale": 1.5}),
    ("cart", cart, {"ratio": 0.5, "scale": 1}),
    ("knots", knots, {"density": 0.2, "aggregation": "mean", "scale": 0.6}),
    ("knots", knots, {"density": 0.5, "aggregation": "sum", "scale": 1}),
]


def main():
    rng = np.random.default_rng(20261123)
    size = sum(int(np.prod(shape)) for shape in SHAPES.values())
    base = (0.3 * rng.standard_normal(size)).astype(np.float32)
    # A shared part, so that signs agree now and then; zeros, as a trimmed vector has.
    shared = rng.standard_normal(size)
    taus = np.stack([0.05 * (rng.standard_normal(size) + 0.5 * shared) for _ in range(K)]).astype(np.float32)
    taus[:, rng.random(size) < 0.02] = 0
    tensors = {"base": base, "task_vectors": taus}
    theta, vectors = torch.from_numpy(base).double(), torch.from_numpy(taus).double()
    cases = []
    for index, (method, merge, parameters) in enumerate(CASES):
        result = merge(theta, vectors, **parameters)
        merged = torch.stack(result) if isinstance(result, list) else result.unsqueeze(0)
        tensors[f"merged/{index}"] = merged.float().numpy()
        cases.append({"method": method, "parameters": parameters})
    FOLDER.mkdir(exist_ok=True)
    save_file(tensors, FOLDER / "fixture.safetensors")
    tensor_list = [{"name": name, "shape": list(shape)} for name, shape in SHAPES.items()]
    text = json.dumps({"torch": torch.__version__.split("+")[0], "tensors": tensor_list, "cases": cases}, indent=1)
    (FOLDER / "fixture.json").write_text(text + "\n")


main()
