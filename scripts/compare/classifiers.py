"""The Python side of `npm run compare -- classifiers`: folders written by `adamerge export --classifier`, by transformers' pipeline.

`make FOLDER` writes a ViT of random weights, FOLDER/vit: there is no small real one to be had without a hub.
`read FOLDER` reads FOLDER/request.json (folders of classifiers by task) and the examples in FOLDER/examples (images, or
examples.jsonl), and writes into FOLDER/predictions.json, by reader and example, the likeliest label of each folder with
its probability. Loading must report nothing missing, unexpected or made up. Readers are `pipeline` as
it is and, for images, with Pillow's preprocessing, which ours is equal to. transformers 4 and 5.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    pipeline,
)

BATCH = 16


def make(folder):
    torch.manual_seed(7)
    config = ViTConfig(
        hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192, image_size=64, patch_size=8,
        initializer_range=0.1,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "vit")
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder / "vit")


def pil_processor(folder):
    choice = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    return AutoImageProcessor.from_pretrained(folder, **choice)


def readers_of(folder, are_texts):
    kind = AutoModelForSequenceClassification if are_texts else AutoModelForImageClassification
    _, said = kind.from_pretrained(folder, output_loading_info=True)
    if any(len(names) > 0 for names in said.values()):
        raise SystemExit(f"{folder}: loaded with complaints: {said}")
    if are_texts:
        return {"pipeline": pipeline("text-classification", model=str(folder), truncation=True, batch_size=BATCH)}
    images = "image-classification"
    return {
        "pipeline": pipeline(images, model=str(folder), batch_size=BATCH),
        "pipeline with Pillow": pipeline(images, model=str(folder), image_processor=pil_processor(folder), batch_size=BATCH),
    }


def read(folder):
    request = json.loads((folder / "request.json").read_text())
    place = folder / "examples"
    are_texts = (place / "examples.jsonl").exists()
    if are_texts:
        lines = (place / "examples.jsonl").read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line)["text"] for line in lines]
    else:
        examples = [Image.open(path).convert("RGB") for path in sorted(place.iterdir())]
    found = {}
    for task, classifier in request["classifiers"].items():
        for reader, classify in readers_of(Path(classifier), are_texts).items():
            rows = found.setdefault(reader, [{} for _ in examples])
            for row, labels in zip(rows, classify(examples, top_k=1), strict=True):
                row[task] = {"label": labels[0]["label"], "probability": labels[0]["score"]}
    (folder / "predictions.json").write_text(json.dumps(found))


{"make": make, "read": read}[sys.argv[1]](Path(sys.argv[2]))
