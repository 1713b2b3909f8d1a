"""Accuracies by transformers alone of merged folders, to be held against what `adamerge` reports: each expert's own classifier on the merged tower.

    judge.py --base BASE --experts EXPERTS (--texts OUT | --images OUT/tasks) [--sentence-transformers] [MERGED ...]

prints a table of test accuracies in percent: the base, the plain average of the experts (made here, in float64), every expert alone, and each MERGED
folder. A folder that transformers does not load whole, or of which tensors are left over, is an error. With --sentence-transformers each MERGED folder
is also opened by SentenceTransformer, and must embed as its tower does with mean pooling and normalisation.
"""

import argparse
import copy
import csv
from pathlib import Path

import torch
import transformers as t

BATCH = 100
TOLERANCE = 1e-5


def of_texts(options, task):
    """The inputs of batches of a task, and its labels by name."""
    with (options.texts / task / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tokenizer = t.AutoTokenizer.from_pretrained(options.base)
    parts = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    batches = [tokenizer([row["text"] for row in part], truncation=True, padding=True, return_tensors="pt") for part in parts]
    return batches, [row["label"] for row in rows]


def of_images(options, task):
    from PIL import Image

    files = sorted((options.images / task / "test").glob("*/*"))
    processor = t.AutoImageProcessor.from_pretrained(options.base)
    parts = (files[start : start + BATCH] for start in range(0, len(files), BATCH))
    batches = [processor([Image.open(file).convert("RGB") for file in part], return_tensors="pt") for part in parts]
    return batches, [file.parent.name for file in files]


def accuracy(classifier, batches, labels):
    names = {name: number for number, name in classifier.config.id2label.items()}
    with torch.inference_mode():
        predictions = torch.cat([classifier(**batch).logits.argmax(-1) for batch in batches])
    return 100 * (predictions == torch.tensor([names[label] for label in labels])).double().mean().item()


def tower_of(folder, like):
    """The tensors of a folder's tower; all that the experts have must be there, and nothing else but a pooler."""
    model, loading = t.AutoModel.from_pretrained(folder, output_loading_info=True)
    wrong = {name: found for name, found in loading.items() if found and not all("pooler" in str(one) for one in found)}
    assert not wrong, f"{folder}: {wrong}"
    state = model.state_dict()
    missing = sorted(set(like) - set(state))
    assert not missing, f"{folder}: lacks {missing}"
    return {name: state[name] for name in like}


def with_tower(classifier, tower):
    merged = copy.deepcopy(classifier)
    merged.base_model.load_state_dict(tower)
    return merged.eval()


def average(towers):
    first = towers[0]
    return {
        name: torch.stack([tower[name].double() for tower in towers]).mean(0).float() if value.is_floating_point() else value
        for name, value in first.items()
    }


def check_sentence_transformers(folder, texts):
    from sentence_transformers import SentenceTransformer

    tokenizer, model = t.AutoTokenizer.from_pretrained(folder), t.AutoModel.from_pretrained(folder).eval()
    inputs = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    found = SentenceTransformer(str(folder), device="cpu").encode(texts, convert_to_tensor=True)
    distance = (found - expected).abs().max().item()
    assert distance < TOLERANCE, f"{folder}: sentence-transformers embeds {distance} away from the tower"
    print(f"{folder}: sentence-transformers embeds as the tower does, within {distance:.1e}")


def main():
    parser = argparse.ArgumentParser(description="Test accuracies by transformers: base, average, experts, merged folders.")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--experts", type=Path, required=True)
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--texts", type=Path)
    kinds.add_argument("--images", type=Path)
    parser.add_argument("--sentence-transformers", action="store_true")
    parser.add_argument("merged", type=Path, nargs="*")
    options = parser.parse_args()
    read, kind = (of_texts, t.AutoModelForSequenceClassification) if options.texts else (of_images, t.AutoModelForImageClassification)
    tasks = sorted(folder.name for folder in (options.texts or options.images).iterdir() if folder.is_dir())
    experts = {task: kind.from_pretrained(options.experts / task).eval() for task in tasks}
    own = {task: expert.base_model.state_dict() for task, expert in experts.items()}
    like = own[tasks[0]]
    towers = {
        "base": tower_of(options.base, like),
        "average": average(list(own.values())),
        **{f"expert {task}": tower for task, tower in own.items()},
        **{str(folder): tower_of(folder, like) for folder in options.merged},
    }
    data = {task: read(options, task) for task in tasks}
    rows = [["model", *tasks, "mean"]]
    for name, tower in towers.items():
        found = [accuracy(with_tower(experts[task], tower), *data[task]) for task in tasks]
        rows.append([name, *(f"{value:.2f}" for value in found), f"{sum(found) / len(found):.2f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))))
    if options.sentence_transformers:
        for folder in options.merged:
            check_sentence_transformers(folder, ["A short text.", "a much longer text, of many more words than the other one has"])


main()
