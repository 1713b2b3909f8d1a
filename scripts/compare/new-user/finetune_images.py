"""A small pretrained ViT, and three classifiers fine-tuned from it by transformers' Trainer, saved by it, judged on their test images.

    finetune_images.py --images OUT --base BASE --experts EXPERTS [--tower TOWER] [--only clothes] [--epochs 8] [--lr 3e-4]

Where BASE is not there, it is made: no pretrained ViT comes in a package, so the tower that ships with mini8 (a CLIPVisionModel of 1.2 million
parameters) is written as a ViTModel, which it is but for one LayerNorm, and trained for a few epochs to tell all classes of OUT/pretraining at once. EXPERTS/<task> is then what `trainer.save_model` writes: model.safetensors, config.json with id2label,
preprocessor_config.json. Nothing here knows of merging. Needs torch, transformers, datasets, accelerate, pillow.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from datasets import Dataset, Image, load_dataset
from safetensors.torch import save_file
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    CLIPVisionModelWithProjection,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

SIZE = 32
# What CLIP's tower calls what ViT calls otherwise, in a block.
IN_BLOCK = {
    "layer_norm1": "layernorm_before",
    "layer_norm2": "layernorm_after",
    "self_attn.q_proj": "attention.attention.query",
    "self_attn.k_proj": "attention.attention.key",
    "self_attn.v_proj": "attention.attention.value",
    "self_attn.out_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
# Images are moved by up to so many pixels in pretraining.
SHIFT = 3
# Images whose embeddings give the scale that stands in for the tower's first LayerNorm.
SCALED_ON = 500


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
        logging_steps=50,
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


def tower_as_vit(folder, images):
    """The state of a ViTModel, by its names in files. CLIP's LayerNorm before the blocks becomes a fixed scale, that of the mean over `images`."""
    tower = CLIPVisionModelWithProjection.from_pretrained(folder)
    found = {name.removeprefix("vision_model."): value.float() for name, value in tower.state_dict().items()}
    scale, shift, patches = found["pre_layrnorm.weight"], found["pre_layrnorm.bias"], found["embeddings.patch_embedding.weight"]
    width = len(scale)
    centred = torch.eye(width) - 1 / width
    positions = found["embeddings.position_embedding.weight"] @ centred
    own = centred @ found["embeddings.class_embedding"]
    with torch.no_grad():
        embedded = torch.nn.functional.conv2d(images, patches, stride=patches.shape[-1]).flatten(2).mT @ centred + positions[1:]
    of_patches, of_class = embedded.std(-1, correction=0).mean(), (own + positions[0]).std(correction=0)
    per_position = torch.full((len(positions), 1), float(of_patches))
    per_position[0] = of_class
    vit = {
        "embeddings.cls_token": (own * scale / of_class).view(1, 1, -1),
        "embeddings.position_embeddings": (positions * scale / per_position + shift).unsqueeze(0),
        "embeddings.patch_embeddings.projection.weight": torch.einsum("de,eihw->dihw", centred, patches) * (scale / of_patches).view(-1, 1, 1, 1),
        "embeddings.patch_embeddings.projection.bias": torch.zeros(width),
        "layernorm.weight": found["post_layernorm.weight"],
        "layernorm.bias": found["post_layernorm.bias"],
    }
    for name, value in found.items():
        if name.startswith("encoder.layers."):
            number, rest = name.removeprefix("encoder.layers.").split(".", 1)
            part, kind = rest.rsplit(".", 1)
            vit[f"encoder.layer.{number}.{IN_BLOCK[part]}.{kind}"] = value
    return vit, tower.config


def pretrain(options):
    files = sorted((options.images / "pretraining").glob("*/*/*.png"))
    names = sorted({"/".join(file.parts[-3:-1]) for file in files})
    number = {name: index for index, name in enumerate(names)}
    labels = [number["/".join(file.parts[-3:-1])] for file in files]
    data = {"train": Dataset.from_dict({"image": [str(file) for file in files], "label": labels}).cast_column("image", Image())}
    processor = ViTImageProcessor(size={"height": SIZE, "width": SIZE})
    chosen = files[:: len(files) // SCALED_ON]
    state, config = tower_as_vit(options.tower, processor([PIL.Image.open(file).convert("RGB") for file in chosen], return_tensors="pt")["pixel_values"])
    same = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size", "hidden_act", "layer_norm_eps")
    ViTConfig(**{key: getattr(config, key) for key in same}, architectures=["ViTModel"]).save_pretrained(options.base)
    save_file({name: value.contiguous() for name, value in state.items()}, options.base / "model.safetensors", metadata={"format": "pt"})
    processor.save_pretrained(options.base)
    torch.manual_seed(options.seed)
    model = ViTForImageClassification.from_pretrained(options.base, num_labels=len(names))
    settings = dict(num_train_epochs=options.pretraining_epochs, learning_rate=5e-4, per_device_train_batch_size=64, warmup_steps=50)
    start = time.time()
    trainer_of(model, processor, data, options, **settings).train()
    tower = ViTModel.from_pretrained(options.base, add_pooling_layer=False)
    tower.load_state_dict(model.vit.state_dict())
    tower.save_pretrained(options.base)
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
    parser.add_argument("--tower", type=Path, default=Path("datasets/mini8/base"), help="mini8's base in adamerge's package")
    parser.add_argument("--only", help="one data set instead of all")
    parser.add_argument("--pretraining-epochs", type=float, default=3)
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.base.exists():
        pretrain(options)
    for folder in sorted((options.images / "tasks").iterdir()):
        if options.only in (None, folder.name):
            finetune(folder.name, options)


main()
