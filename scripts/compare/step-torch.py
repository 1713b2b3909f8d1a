"""Times one layer-wise AdaMerging step in PyTorch on random weights: the number our own benchmark stands beside.

What it is not: a check of values (test/conformance has those). The tower and the merge are test/conformance/clip.py.
`--style fused` merges once and sends all tasks' images through one forward, as we do; `--style per-task` merges and
goes forward once for every task, as the official code does. Prints one JSON line on stdout; needs only torch, numpy
and safetensors.

    python scripts/compare/step-torch.py --shape vit-b-32 --images 16 --steps 5 --threads 2
"""

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test/conformance"))
sys.dont_write_bytecode = True
from clip import entropy, merge, tower_features  # noqa: E402

SHAPES = {
    # hidden, layers, heads, mlp, patch, image side, embedding
    "tiny": (192, 6, 3, 768, 16, 112, 128),
    "vit-b-32": (768, 12, 12, 3072, 32, 224, 512),
    "vit-b-16": (768, 12, 12, 3072, 16, 224, 512),
    "vit-l-14": (1024, 24, 16, 4096, 14, 224, 768),
}


def tensor_shapes(hidden, layers, mlp, patch, side, embedding):
    """Names and shapes of all tensors of the tower, in the order of the forward pass."""
    norm = lambda name: {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}  # noqa: E731
    linear = lambda name, o, i: {f"{name}.weight": (o, i), f"{name}.bias": (o,)}  # noqa: E731
    shapes = {
        "embeddings.class_embedding": (hidden,),
        "embeddings.patch_embedding.weight": (hidden, 3, patch, patch),
        "embeddings.position_embedding.weight": ((side // patch) ** 2 + 1, hidden),
        **norm("pre_layrnorm"),
    }
    for i in range(layers):
        layer = f"encoder.layers.{i}"
        shapes |= norm(f"{layer}.layer_norm1") | norm(f"{layer}.layer_norm2")
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear(f"{layer}.self_attn.{part}", hidden, hidden)
        shapes |= linear(f"{layer}.mlp.fc1", mlp, hidden) | linear(f"{layer}.mlp.fc2", hidden, mlp)
    return shapes | norm("post_layernorm") | {"visual_projection.weight": (embedding, hidden)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--style", choices=("fused", "per-task"), default="fused")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--images", type=int, default=16, help="per task and step")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--steps", type=int, default=5, help="timed, after one that is not")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    hidden, layers, attention_heads, mlp, patch, side, embedding = SHAPES[options.shape]
    config = dict(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=attention_heads, patch_size=patch,
        hidden_act="quick_gelu",
    )  # fmt: skip
    device, tasks = options.device, options.tasks
    base, tau = {}, {}
    for name, shape in tensor_shapes(hidden, layers, mlp, patch, side, embedding).items():
        is_gain = "norm" in name and name.endswith("weight")
        base[name] = torch.ones(shape, device=device) if is_gain else 0.02 * torch.randn(shape, device=device)
        tau[name] = 0.002 * torch.randn((tasks, *shape), device=device)
    images = torch.randn(tasks * options.images, 3, side, side, device=device)
    heads = torch.nn.functional.normalize(torch.randn(tasks, options.classes, embedding, device=device), dim=-1)
    lambda_nk = torch.full((len(base), tasks), 0.3, device=device, requires_grad=True)
    adam = torch.optim.Adam([lambda_nk], lr=1e-3)

    def step():
        adam.zero_grad()
        if options.style == "fused":
            features = tower_features(merge(base, tau, lambda_nk), config, images).split(options.images)
        else:
            batches = images.split(options.images)
            features = [tower_features(merge(base, tau, lambda_nk), config, batch) for batch in batches]
        loss = sum(entropy(100 * f @ head.T) for f, head in zip(features, heads))
        loss.backward()
        adam.step()
        return loss.item()  # waits for the device

    step()
    times_ms = []
    for _ in range(options.steps):
        begin = time.perf_counter()
        step()
        times_ms.append((time.perf_counter() - begin) * 1e3)
    result = dict(
        vars(options),
        torch=torch.__version__,
        parameters=sum(value.numel() for value in base.values()),
        median_ms=round(statistics.median(times_ms), 2),
        min_ms=round(min(times_ms), 2),
        # ru_maxrss is in KiB on Linux.
        peak_rss_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    )
    if device.startswith("cuda"):
        result["peak_device_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
