"""The Python side of `npm run compare -- text-encoder` and `-- text-fit`: a BERT of the user's own, in transformers and sentence-transformers.

`features FOLDER MODEL` writes FOLDER/tokens.json (the tokens of 200 texts) and FOLDER/expected.safetensors: features by transformers in float32 and
float64 and by sentence-transformers. `fit FOLDER MODEL STEPS` fine-tunes three experts for a few steps, saves them to FOLDER/experts/<k>, and adapts
layer-wise coefficients by the entropy of predictions with torch.optim.Adam, in float32 and float64: FOLDER/fit.safetensors. Written plainly, without
our code. B texts, T tokens, K experts, N tensors.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

TEXTS = 200
BATCH = 8
FIT_BATCH = 4
TOKENS = 32
CLASSES = (4, 3, 5)
PER_TASK = 64
TRAIN_STEPS = 12
LOGIT_SCALE = 20.0
START = 0.3
LEARNING_RATE = 1e-2


def write(path, arrays):
    save_file({name: np.ascontiguousarray(torch.as_tensor(value).detach().numpy()) for name, value in arrays.items()}, path)


def words_of(tokenizer):
    return sorted(word for word in tokenizer.get_vocab() if word.isalpha() and len(word) > 2)


def mean_features(model, tokens, call=None):
    """Mean over the tokens that are not padding, at length 1: [B, D]."""
    hidden = (call or model)(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def features(folder, path):
    from sentence_transformers import SentenceTransformer

    sentence = SentenceTransformer(path, device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(path)
    rng = random.Random(0)
    words = words_of(tokenizer)
    # From one word to more than a text may have.
    texts = [" ".join(rng.choices(words, k=1 + int(300 * (i / TEXTS) ** 2))) + rng.choice([".", "!", "", " ?"]) for i in range(TEXTS)]
    limit = sentence.max_seq_length
    (folder / "tokens.json").write_text(json.dumps(tokenizer(texts, truncation=True, max_length=limit)["input_ids"]))
    model = AutoModel.from_pretrained(path).eval()

    def ours():
        parts = []
        for first in range(0, TEXTS, BATCH):
            batch = texts[first : first + BATCH]
            parts.append(mean_features(model, tokenizer(batch, padding=True, truncation=True, max_length=limit, return_tensors="pt")))
        return torch.cat(parts)

    with torch.no_grad():
        arrays = {"transformers": ours(), "sentence_transformers": sentence.encode(texts, batch_size=BATCH)}
        model = model.double()
        # safetensors of ours has no float64.
        arrays["float64"] = ours().float()
    write(folder / "expected.safetensors", arrays)


def task_texts(words, rng, classes):
    """Texts whose class shows in half of their words."""
    own = [rng.sample(words, 40) for _ in range(classes)]
    labels = [i % classes for i in range(PER_TASK)]
    return [" ".join(rng.choice(own[label] if rng.random() < 0.5 else words) for _ in range(rng.randint(4, 20))) for label in labels], labels


def fine_tune(path, tokens, labels, prototypes):
    model = AutoModel.from_pretrained(path, add_pooling_layer=False).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    for step in range(TRAIN_STEPS):
        rows = [(step * BATCH + i) % PER_TASK for i in range(BATCH)]
        logits = LOGIT_SCALE * mean_features(model, {k: v[rows] for k, v in tokens.items()}) @ prototypes.T
        loss = F.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def fit(folder, path, steps):
    torch.manual_seed(0)
    rng = random.Random(1)
    tokenizer = AutoTokenizer.from_pretrained(path)
    base = AutoModel.from_pretrained(path, add_pooling_layer=False).eval()
    names = [name for name, _ in base.named_parameters()]
    words, arrays, batches, heads, experts, texts_of = words_of(tokenizer), {}, [], [], [], []
    for k, classes in enumerate(CLASSES):
        texts, labels = task_texts(words, rng, classes)
        tokens = dict(tokenizer(texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"))
        labels = torch.tensor(labels)
        with torch.no_grad():
            of_base = mean_features(base, tokens)
        prototypes = F.normalize(torch.stack([of_base[labels == c].mean(0) for c in range(classes)]), dim=-1)
        expert = fine_tune(path, tokens, labels, prototypes)
        expert.save_pretrained(folder / f"experts/{k}")
        experts.append(expert.state_dict())
        texts_of.append([row[: int(mask.sum())] for row, mask in zip(tokens["input_ids"].tolist(), tokens["attention_mask"])])
        arrays[f"{k}.weight"] = prototypes
        batches.append(tokens)
        heads.append(prototypes)
    for dtype, label in ((torch.float32, "f32"), (torch.float64, "f64")):
        weights = {name: base.state_dict()[name] for name in names}
        # Rounded to float32 first, as a stored bundle has them.
        tau = {name: torch.stack([e[name] - weights[name] for e in experts]).to(dtype) for name in names}
        weights = {name: value.to(dtype) for name, value in weights.items()}
        lambdas = torch.full((len(names), len(CLASSES)), START, dtype=dtype, requires_grad=True)
        optimizer = torch.optim.Adam([lambdas], lr=LEARNING_RATE)
        model, losses, path_of = base.to(dtype), [], []
        for step in range(steps):
            merged = {name: weights[name] + torch.tensordot(lambdas[n], tau[name], dims=1) for n, name in enumerate(names)}
            rows = [(step * FIT_BATCH + i) % PER_TASK for i in range(FIT_BATCH)]
            # All tasks' texts through one forward.
            joined = {k: torch.cat([tokens[k][rows] for tokens in batches]) for k in batches[0]}
            found = mean_features(model, joined, lambda **kwargs: torch.func.functional_call(model, merged, kwargs=kwargs))
            logits = [LOGIT_SCALE * own @ head.to(dtype).T for own, head in zip(found.split(FIT_BATCH), heads)]
            task_losses = torch.stack([-(F.softmax(x, -1) * F.log_softmax(x, -1)).sum(-1).mean() for x in logits])
            optimizer.zero_grad()
            task_losses.sum().backward()
            if step == 0:
                arrays[f"{label}.gradient"] = lambdas.grad.clone().float()
            optimizer.step()
            losses.append(task_losses.detach())
            path_of.append(lambdas.detach().clone())
        arrays[f"{label}.losses"] = torch.stack(losses).float()
        arrays[f"{label}.lambda"] = torch.stack(path_of).float()
    write(folder / "fit.safetensors", arrays)
    settings = dict(tensors=names, classes=CLASSES, batch=FIT_BATCH, tokens=TOKENS, texts=texts_of)
    (folder / "fit.json").write_text(json.dumps(dict(settings, logit_scale=LOGIT_SCALE, start=START, learning_rate=LEARNING_RATE)))


if __name__ == "__main__":
    what, folder, path, *rest = sys.argv[1:]
    if what == "features":
        features(Path(folder), path)
    else:
        fit(Path(folder), path, int(rest[0]))
