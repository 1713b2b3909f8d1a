"""A classifier per data set of texts.py, fine-tuned by transformers' Trainer as its documentation does it, saved by it, and judged on its test rows.

    finetune_texts.py --base BASE --texts OUT --experts EXPERTS [--only glosses] [--epochs 4] [--lr 2e-4]

EXPERTS/<task> is then what `trainer.save_model` writes: model.safetensors, config.json with id2label, the tokenizer. Nothing here knows of merging:
everything is trained, embeddings and pooler too. Needs torch, transformers, datasets, accelerate.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

LONGEST = 48


def accuracy(predictions):
    return {"accuracy": float(np.mean(predictions.predictions.argmax(-1) == predictions.label_ids))}


def finetune(task, options):
    files = {split: str(options.texts / task / f"{split}.csv") for split in ("train", "val", "test")}
    data = load_dataset("csv", data_files=files).class_encode_column("label")
    names = data["train"].features["label"].names
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.base, num_labels=len(names), id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)}
    )
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=LONGEST), batched=True)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=f"{options.experts}-checkpoints/{task}",
            num_train_epochs=options.epochs,
            learning_rate=options.lr,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=20,
            seed=options.seed,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=data["train"],
        eval_dataset=data["val"],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    start = time.time()
    trainer.train()
    seconds = time.time() - start
    trainer.save_model(str(options.experts / task))
    result = trainer.evaluate(data["test"])["eval_accuracy"]
    print(f"{task}: {100 * result:.1f} % of {len(data['test'])} test rows; {len(data['train'])} rows, {seconds:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Fine-tunes a classifier for each data set of texts.py.")
    parser.add_argument("--base", required=True, help="the pretrained model's folder")
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--experts", type=Path, required=True)
    parser.add_argument("--only", help="one data set instead of all")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for folder in sorted(options.texts.iterdir()):
        if folder.is_dir() and options.only in (None, folder.name):
            finetune(folder.name, options)


main()
