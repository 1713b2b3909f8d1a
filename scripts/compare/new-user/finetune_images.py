"""A small ViT pretrained on seven tasks, and three classifiers fine-tuned from it by transformers' Trainer, saved by it, judged on their test images.

    finetune_images.py --images OUT --base BASE --experts EXPERTS [--pretraining-epochs 6] [--epochs 6] [--only clothes]

Where BASE is not there, it is made: a ViTModel (width 192, 6 layers, patches of 8 in images of 32) trained to tell the classes of OUT/pretraining all
at once, saved without that head. EXPERTS/<task> is then what `trainer.save_model` writes: model.safetensors, config.json with id2label,
preprocessor_config.json. Nothing here knows of merging. Needs torch, transformers, datasets, accelerate, pillow.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Image, load_dataset
from transformers import AutoImageProcessor, AutoModelForImageClassification, Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, ViTImageProcessor

SIZE = 32
WIDTH = dict(hidden_size=192, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6, image_size=SIZE, patch_size=8)
# Images are moved by up to so many pixels in pretraining.
SHIFT = 3


def accuracy(predictions):
    return {"accuracy": float(np.mean(predictions.predictions.argmax(-1) == predictions.label_ids))}


def of_rows(rows):
    return {"pixel_values": torch.stack([row["pixel_values"] for row in rows]), "labels": torch.tensor([row["label"] for row in rows])}


def of_moved_rows(rows):
    batch = of_rows(rows)
    padded = torch.nn.functional.pad(batch["pixel_values"], [SHIFT] * 4, mode="replicate")
    places = torch.randint(0, 2 * SHIFT + 1, (len(rows), 2)).tolist()
    batch["pixel_values"] = torch.stack([image[:, y : y + SIZE, x : x + SIZE] for image, (y, x) in zip(padded, places, strict=True)])
    return batch


def processed(data, processor):
    def pixels(rows):
        rows["pixel_values"] = list(processor([image.convert("RGB") for image in rows["image"]], return_tensors="pt")["pixel_values"])
        return rows

    return data.with_transform(pixels)


def trainer_of(model, processor, data, options, **settings):
    arguments = dict(
        output_dir=f"{options.experts}-checkpoints",
        per_device_train_batch_size=32,
        per_device_eval_batch_size=128,
        weight_decay=0.01,
        save_strategy="no",
        logging_steps=100,
        seed=options.seed,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    return Trainer(
        model=model,
        args=TrainingArguments(**(arguments | settings)),
        train_dataset=processed(data["train"], processor),
        processing_class=processor,
        data_collator=of_moved_rows,
        compute_metrics=accuracy,
    )


def pretrain(options):
    files = sorted((options.images / "pretraining").glob("*/*/*.png"))
    names = sorted({"/".join(file.parts[-3:-1]) for file in files})
    number = {name: index for index, name in enumerate(names)}
    labels = [number["/".join(file.parts[-3:-1])] for file in files]
    data = {"train": Dataset.from_dict({"image": [str(file) for file in files], "label": labels}).cast_column("image", Image())}
    torch.manual_seed(options.seed)
    model = ViTForImageClassification(ViTConfig(**WIDTH, num_labels=len(names)))
    processor = ViTImageProcessor(size={"height": SIZE, "width": SIZE})
    settings = dict(num_train_epochs=options.pretraining_epochs, learning_rate=1e-3, per_device_train_batch_size=64, warmup_steps=100)
    start = time.time()
    trainer_of(model, processor, data, options, **settings).train()
    model.vit.save_pretrained(options.base)
    processor.save_pretrained(options.base)
    print(f"{options.base}: {len(files)} images of {len(names)} classes, {time.time() - start:.0f} s", flush=True)


def finetune(task, options):
    folders = {split: str(options.images / "tasks" / task / split / "**") for split in ("train", "test")}
    data = load_dataset("imagefolder", data_files=folders, drop_labels=False)
    names = data["train"].features["label"].names
    processor = AutoImageProcessor.from_pretrained(options.base)
    model = AutoModelForImageClassification.from_pretrained(
        options.base, num_labels=len(names), id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)}
    )
    trainer = trainer_of(model, processor, data, options, num_train_epochs=options.epochs, learning_rate=options.lr)
    start = time.time()
    trainer.train()
    seconds = time.time() - start
    trainer.save_model(str(options.experts / task))
    trainer.data_collator = of_rows
    result = trainer.evaluate(processed(data["test"], processor))["eval_accuracy"]
    print(f"{task}: {100 * result:.1f} % of {len(data['test'])} test images; {len(data['train'])} images, {seconds:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Pretrains a small ViT and fine-tunes a classifier for each data set of images.py.")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--experts", type=Path, required=True)
    parser.add_argument("--only", help="one data set instead of all")
    parser.add_argument("--pretraining-epochs", type=float, default=6)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.base.exists():
        pretrain(options)
    for folder in sorted((options.images / "tasks").iterdir()):
        if options.only in (None, folder.name):
            finetune(folder.name, options)


main()
