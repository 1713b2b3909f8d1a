"""The Python side of `npm run compare -- fine-tune`: an independent loop of torch.optim.AdamW over a BERT of the
user's own in transformers.

`data FOLDER MODEL` writes FOLDER/data.json: texts as tokens, labels and a frozen head (the mean feature of each class
in the base). `train FOLDER MODEL` fine-tunes the encoder without its embeddings on FOLDER/plan.json's batches, and
writes FOLDER/trained.safetensors and FOLDER/trained.json (losses, norms, seconds and processor seconds of each step).
Batches are padded to their own longest text. B texts, T tokens.
"""

import json
import math
import random
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

TEXTS, CLASSES, LONGEST, SCALE = 640, 8, 32, 20.0


def features(model, ids, mask):
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)


def padded(tokens):
    longest = max(map(len, tokens))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in tokens])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])


def data(folder, path):
    rng = random.Random(2)
    tokenizer = AutoTokenizer.from_pretrained(path)
    words = sorted(word for word in tokenizer.get_vocab() if word.isalpha() and len(word) > 2)
    own = [rng.sample(words, 60) for _ in range(CLASSES)]
    labels = [i % CLASSES for i in range(TEXTS)]
    # A third of the words are of the class; a third of the texts are short.
    texts = [
        " ".join(rng.choice(own[label] if rng.random() < 0.34 else words) for _ in range(rng.randint(3, 8) if rng.random() < 0.34 else rng.randint(9, 28)))
        for label in labels
    ]
    tokens = tokenizer(texts, truncation=True, max_length=LONGEST)["input_ids"]
    model = AutoModel.from_pretrained(path, add_pooling_layer=False).eval()
    with torch.no_grad():
        found = torch.cat([features(model, *padded(tokens[first : first + 32])) for first in range(0, TEXTS, 32)])
    head = F.normalize(torch.stack([found[torch.tensor(labels) == c].mean(0) for c in range(CLASSES)]), dim=-1)
    settings = {"tokens": tokens, "labels": labels, "head": head.flatten().tolist(), "classes": CLASSES, "longest": LONGEST, "scale": SCALE}
    (folder / "data.json").write_text(json.dumps(settings))


def train(folder, path):
    given, plan = (json.loads((folder / name).read_text()) for name in ("data.json", "plan.json"))
    steps, warmup = len(plan["order"]), plan["warmup"]
    torch.set_num_threads(plan["threads"])
    model = AutoModel.from_pretrained(path, add_pooling_layer=False).eval()
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith("encoder."))
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    decayed = {True: [v for v in trained.values() if v.ndim > 1], False: [v for v in trained.values() if v.ndim < 2]}
    groups = [{"params": values, "weight_decay": plan["decay"] if decays else 0.0} for decays, values in decayed.items()]
    optimizer = torch.optim.AdamW(groups, lr=plan["rate"])
    head = torch.tensor(given["head"]).view(given["classes"], -1)
    report = {"losses": [], "norms": [], "seconds": [], "processor_seconds": []}
    for step, rows in enumerate(plan["order"], 1):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        share = step / warmup if step <= warmup else (1 + math.cos(math.pi * (step - 1 - warmup) / (steps - warmup))) / 2
        for group in optimizer.param_groups:
            group["lr"] = plan["rate"] * share
        ids, mask = padded([given["tokens"][row] for row in rows])
        logits = given["scale"] * features(model, ids, mask) @ head.T
        loss = F.cross_entropy(logits, torch.tensor([given["labels"][row] for row in rows]))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), plan["clip"])
        optimizer.step()
        report["losses"].append(loss.item())
        report["norms"].append(norm.item())
        after = resource.getrusage(resource.RUSAGE_SELF)
        report["seconds"].append(time.perf_counter() - began)
        report["processor_seconds"].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    save_file({name: value.detach().contiguous() for name, value in trained.items()}, folder / "trained.safetensors")
    (folder / "trained.json").write_text(json.dumps(report))


if __name__ == "__main__":
    {"data": data, "train": train}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
