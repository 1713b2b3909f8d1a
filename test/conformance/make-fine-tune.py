"""Makes fine-tune/: 50 steps of torch.optim.AdamW on a BERT and on a ViT with random weights, as an independent loop
over `transformers`' models.

text.safetensors: the encoder of text-step/base alone, one task under a frozen head, warm-up and cosine, texts of
different lengths padded to the longest of their batch. image.safetensors: all of image-encoders/vit with the heads of
two tasks, a line, label smoothing, layer-wise rates, batches of unequal parts. Weight decay not on vectors, the
gradient clipped by its norm. Each runs in float64, which is stored, and in float32, which is printed beside it.

lora-text.safetensors and lora-image.safetensors: the same trainings as LoRA by peft's own layers; factors begin as the
project's seed says. dropout-text.safetensors and dropout-image.safetensors: those with dropout, whose masks are drawn as
the project draws them (src/optimize/fine-tune/dropout.ts) and put in place of torch's; `python make-fine-tune.py
dropout` makes these two alone. `python make-fine-tune.py adapter`: features that peft computes with the adapters in lora-adapter/ and
lora-image-adapter/, and labels, which fine-tune.test.ts writes with UPDATE_ADAPTERS=1.
"""

import fnmatch
import math
import sys
import tempfile
import warnings
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, inject_adapter_in_model
from safetensors.numpy import load_file
from transformers import BertModel, ViTModel

from clip import FOLDER, save_arrays, smooth_images
from own_rng import own_rng, own_words

STEPS, WARMUP = 50, 5
RATE, DECAY = 2e-3, 0.05
# The first clips every step, the second some.
CLIPS = {"text": 1.0, "image": 8.0}
TEXTS, TEXT_BATCH, TEXT_CLASSES, TEXT_SCALE, LONGEST, VOCABULARY = 24, 4, 3, 10.0, 20, 32
IMAGE_TASKS = {"alpha": (4, 3, 12), "beta": (2, 4, 8)}  # examples a step, classes, images
IMAGE_SCALE, SMOOTHING, RATE_FACTOR = 5.0, 0.1, 0.5
SEED = 3
# Of texts all linear layers, as by default; alpha is not the rank.
LORA = {"text": (3, 8, ["encoder.*"]), "image": (2, 4, ["*.query.weight", "*.value.weight", "*.output.dense.weight"])}
DROPOUT = {"text": 0.25, "image": 0.1}


def rate_at(step, schedule):
    """Of update `step`, from 1."""
    if step <= WARMUP:
        return RATE * step / WARMUP
    progress = (step - 1 - WARMUP) / (STEPS - WARMUP)
    return RATE * ((1 + math.cos(math.pi * progress)) / 2 if schedule == "cosine" else 1 - progress)


def train(parameters, losses_at, schedule, clip, factor):
    """`losses_at(step)`: the loss of every task and its share. Returns losses [STEPS, T] and norms [STEPS]."""
    groups = [
        {"params": [value], "weight_decay": DECAY if value.ndim > 1 else 0.0, "factor": factor(name)}
        for name, value in parameters.items()
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, schedule) * group["factor"]
        own, shares = losses_at(step - 1)
        optimizer.zero_grad()
        (own * shares).sum().backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), clip))
        optimizer.step()
        losses.append(own.detach())
    return torch.stack(losses), torch.stack(norms)


def learned(model, trained, heads):
    """What was trained, in float32, by the names of files: transformers has others while a model is in memory."""
    kept = {id(value) for value in trained.values()}
    frozen = sum(id(value) not in kept for value in model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        saved = load_file(Path(folder) / "model.safetensors")
    chosen = {name: value for name, value in saved.items() if frozen == 0 or name.startswith("encoder.")}
    assert len(chosen) + len(heads) == len(trained)
    return {**{name: torch.from_numpy(value) for name, value in chosen.items()}, **{name: value.detach().float() for name, value in heads.items()}}


class Lora:
    """peft's layers in a model, by the names of files of the matrices they change."""

    def __init__(self, model, dropout, rank, alpha, patterns):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            saved = load_file(Path(folder) / "model.safetensors")
        linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
        # Random weights are like no others.
        found = {name: next(key for key in saved if np.array_equal(saved[key], module.weight.detach().numpy())) for name, module in linear.items()}
        chosen = {name: key for name, key in found.items() if any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)}
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(chosen), lora_dropout=dropout), model)
        self.layers = {key: model.get_submodule(name) for name, key in chosen.items()}
        with torch.no_grad():
            for key, layer in self.layers.items():
                a = layer.lora_A["default"].weight
                drawn = np.array(list(islice(own_rng("lora", SEED, key), a.numel())))
                a.copy_(torch.from_numpy((2 * drawn - 1) / math.sqrt(a.shape[1])).float().view_as(a))
                assert layer.lora_B["default"].weight.abs().max() == 0
        self.batch = None
        if dropout > 0:
            for key, layer in self.layers.items():
                layer.lora_dropout["default"] = OwnDropout(self, key, dropout)

    def at(self, step, *tasks):
        """The step, from 1, and its tasks: name and number of examples."""
        self.batch = step, tasks

    def trained(self):
        return {f"{key}/{factor}": getattr(layer, f"lora_{factor.upper()}")["default"].weight for key, layer in self.layers.items() for factor in "ab"}

    def learned(self):
        merged = {key: layer.base_layer.weight + layer.get_delta_weight("default") for key, layer in self.layers.items()}
        return {key: value.detach().float() for key, value in {**self.trained(), **merged}.items()}


class OwnDropout(torch.nn.Module):
    """torch.nn.Dropout with the project's draws: inverted scaling, of each example by itself."""

    def __init__(self, lora, key, share):
        super().__init__()
        self.lora, self.key, self.share = lora, key, share

    def forward(self, x):
        step, tasks = self.lora.batch
        kept = [self.kept((step, task, place), x[0].numel()) for task, count in tasks for place in range(count)]
        return x * torch.from_numpy(np.stack(kept)).view_as(x).to(x.dtype) / (1 - self.share)

    def kept(self, place, size):
        words = np.array(list(islice(own_words("lora dropout", SEED, self.key, *place), (size + 1) // 2)), dtype=np.int64)
        halves = np.stack([words >> 16, words & 0xFFFF], axis=1).reshape(-1)[:size]
        return halves >= round(self.share * 2**16)


def orders(rng, count, size):
    """Examples of every step, [STEPS, size]: distinct within a step."""
    return np.stack([rng.permutation(count)[:size] for _ in range(STEPS)]).astype(np.int32)


def heads_of(rng, classes, width):
    weight = rng.standard_normal((classes, width))
    return (weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32)


def text(dtype, data, dropout=None):
    model = BertModel.from_pretrained(FOLDER / "text-step/base", add_pooling_layer=False).eval()
    lora = None if dropout is None else Lora(model, dropout, *LORA["text"])
    model.to(dtype)
    head = torch.from_numpy(data["head"]).to(dtype)
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith("encoder."))
    trained = lora.trained() if lora else {name: value for name, value in model.named_parameters() if value.requires_grad}
    lengths = data["lengths"]

    def losses_at(step):
        rows = data["order"][step]
        if lora:
            lora.at(step + 1, ("texts", len(rows)))
        longest = int(lengths[rows].max())
        ids = torch.from_numpy(data["input_ids"][rows, :longest]).long()
        mask = (torch.arange(longest)[None] < torch.from_numpy(lengths[rows])[:, None]).long()
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(dtype)
        features = F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
        logits = TEXT_SCALE * features @ head.T
        loss = F.cross_entropy(logits, torch.from_numpy(data["labels"][rows]).long())
        return loss[None], torch.ones(1, dtype=dtype)

    losses, norms = train(trained, losses_at, "cosine", CLIPS["text"], lambda name: 1.0)
    return losses, norms, lora.learned() if lora else learned(model, trained, {})


def image(dtype, data, dropout=None):
    model = ViTModel.from_pretrained(FOLDER / "image-encoders/vit", add_pooling_layer=False).eval()
    lora = None if dropout is None else Lora(model, dropout, *LORA["image"])
    model.to(dtype)
    heads = {}
    for task in IMAGE_TASKS:
        heads[f"head/{task}/weight"] = torch.from_numpy(data[f"{task}.head"].copy()).to(dtype).requires_grad_()
        heads[f"head/{task}/bias"] = torch.zeros(len(data[f"{task}.head"]), dtype=dtype, requires_grad=True)
    parts = [examples for examples, _, _ in IMAGE_TASKS.values()]
    shares = torch.tensor(parts, dtype=dtype) / sum(parts)

    def losses_at(step):
        rows = {task: data[f"{task}.order"][step] for task in IMAGE_TASKS}
        if lora:
            lora.at(step + 1, *zip(IMAGE_TASKS, parts))
        pixels = np.concatenate([data[f"{task}.pixels"][rows[task]] for task in IMAGE_TASKS])
        x = (torch.from_numpy(pixels).to(dtype) / 255 - 0.5) / 0.5
        features = model(pixel_values=x.permute(0, 3, 1, 2)).last_hidden_state[:, 0]
        losses = []
        for task, own in zip(IMAGE_TASKS, features.split(parts)):
            logits = IMAGE_SCALE * own @ heads[f"head/{task}/weight"].T + heads[f"head/{task}/bias"]
            labels = torch.from_numpy(data[f"{task}.labels"][rows[task]]).long()
            losses.append(F.cross_entropy(logits, labels, label_smoothing=SMOOTHING))
        return torch.stack(losses), shares

    trained = {**(lora.trained() if lora else dict(model.named_parameters())), **heads}
    losses, norms = train(trained, losses_at, "linear", CLIPS["image"], rate_factor)
    if lora:
        return losses, norms, {**lora.learned(), **{name: value.detach().float() for name, value in heads.items()}}
    return losses, norms, learned(model, trained, heads)


def rate_factor(name):
    return RATE_FACTOR if name.startswith("embeddings.") else 1.0


def make(name, run, data):
    save_run(name, run(torch.float64, data), run(torch.float32, data), data)
    save_run(f"lora-{name}", run(torch.float64, data, 0.0), run(torch.float32, data, 0.0), {})
    make_dropout(name, run, data)


def make_dropout(name, run, data):
    share = DROPOUT[name]
    save_run(f"dropout-{name}", run(torch.float64, data, share), run(torch.float32, data, share), {})


def save_run(name, run64, run32, data):
    (losses, norms, trained), (losses32, _, trained32) = run64, run32
    apart = {key: (value - trained32[key]).abs().max().item() for key, value in trained.items()}
    counted = {key: value for key, value in apart.items() if not key.endswith("key.bias")}
    print(
        f"{name}: loss {losses[0].numpy()} to {losses[-1].numpy()}, norms {norms.min():.2f} to {norms.max():.2f}, "
        f"float32 - float64: losses {(losses - losses32).abs().max():.1e}, weights {max(counted.values()):.1e}, biases of keys {max(apart.values()):.1e}"
    )
    after = {f"after/{key}": value for key, value in trained.items()}
    save_arrays(FOLDER / f"fine-tune/{name}.safetensors", **data, losses=losses, norms=norms, **after)


def adapted(model, folder):
    """As a reader gets it: what is missing or not found in the model is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = PeftModel.from_pretrained(model, FOLDER / "fine-tune" / folder)
    stored = load_file(FOLDER / "fine-tune" / folder / "adapter_model.safetensors")
    known = {name.replace(".default", "") for name in found.state_dict()}
    assert stored.keys() <= known, stored.keys() - known
    return found


def adapter_features():
    """By our adapters: of all texts in float32, of all images in float64, and the labels under their heads."""
    data = load_file(FOLDER / "fine-tune/text.safetensors")
    model = adapted(BertModel.from_pretrained(FOLDER / "text-step/base", add_pooling_layer=False).eval(), "lora-adapter")
    mask = torch.arange(LONGEST)[None] < torch.from_numpy(data["lengths"])[:, None]
    with torch.no_grad():
        hidden = model(input_ids=torch.from_numpy(data["input_ids"]).long(), attention_mask=mask.long()).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        features = F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
    labels = (features @ torch.from_numpy(data["head"]).T).argmax(1)
    save_arrays(FOLDER / "fine-tune/lora-features.safetensors", features=features, labels=labels.int())
    data, learned = (load_file(FOLDER / f"fine-tune/{name}.safetensors") for name in ("image", "lora-image"))
    model = adapted(ViTModel.from_pretrained(FOLDER / "image-encoders/vit", add_pooling_layer=False).eval(), "lora-image-adapter").double()
    arrays = {}
    for task in IMAGE_TASKS:
        x = (torch.from_numpy(data[f"{task}.pixels"]).double() / 255 - 0.5) / 0.5
        with torch.no_grad():
            features = model(pixel_values=x.permute(0, 3, 1, 2)).last_hidden_state[:, 0]
        weight, bias = (torch.from_numpy(learned[f"after/head/{task}/{name}"]).double() for name in ("weight", "bias"))
        arrays[f"{task}.features"] = features
        arrays[f"{task}.labels"] = (IMAGE_SCALE * features @ weight.T + bias).argmax(1).int()
    save_arrays(FOLDER / "fine-tune/lora-image-features.safetensors", **arrays)


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(28)
    lengths = rng.integers(3, LONGEST + 1, TEXTS).astype(np.int32)
    ids = rng.integers(1, VOCABULARY, (TEXTS, LONGEST)).astype(np.int32)
    make(
        "text",
        text,
        {
            "input_ids": np.where(np.arange(LONGEST)[None] < lengths[:, None], ids, 0).astype(np.int32),
            "lengths": lengths,
            "labels": rng.integers(0, TEXT_CLASSES, TEXTS).astype(np.int32),
            "order": orders(rng, TEXTS, TEXT_BATCH),
            "head": heads_of(rng, TEXT_CLASSES, 16),
        },
    )
    data = {}
    for task, (examples, classes, images) in IMAGE_TASKS.items():
        data[f"{task}.pixels"] = smooth_images(rng, images, 16)
        data[f"{task}.labels"] = rng.integers(0, classes, images).astype(np.int32)
        data[f"{task}.order"] = orders(rng, images, examples)
        data[f"{task}.head"] = heads_of(rng, classes, 12)
    make("image", image, data)


def dropout_alone():
    torch.set_num_threads(1)
    for name, run in [("text", text), ("image", image)]:
        make_dropout(name, run, load_file(FOLDER / f"fine-tune/{name}.safetensors"))


if __name__ == "__main__":
    {"adapter": adapter_features, "dropout": dropout_alone}.get(" ".join(sys.argv[1:]), main)()
