"""The Python side of `npm run compare -- trainer`: experts by transformers' Trainer, one for each seed.

`trainer.py FOLDER BASE` reads FOLDER/plan.json (settings) and FOLDER/examples.json (texts) or FOLDER/examples.safetensors
(images uint8 [N, H, W, C]), and writes FOLDER/trained.json: accuracy in percent on the test examples and seconds of
each seed.
"""

import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed
from tuned_models import classifier, inputs_of


class Split(torch.utils.data.Dataset):
    """Row numbers; the collator makes batches of them, as Trainer pads texts by batch."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index


def read(folder, base, kind, part, plan):
    if kind == "image":
        tensors = load_file(folder / "examples.safetensors")
        shape = {name: torch.tensor(plan[name]).view(1, 3, 1, 1) for name in ("mean", "std")}
        return {"images": tensors[f"{part}/images"], "labels": tensors[f"{part}/labels"].long(), **shape}
    given = json.loads((folder / "examples.json").read_text())[part]
    tokens = AutoTokenizer.from_pretrained(base)(
        given["texts"], truncation=True, max_length=plan["max_length"], padding="longest", return_tensors="pt"
    )
    return {**tokens, "labels": torch.tensor(given["labels"])}


def main(folder, base):
    plan = json.loads((folder / "plan.json").read_text())
    kind = plan["kind"]
    torch.set_num_threads(plan["threads"])
    train, test = (read(folder, base, kind, part, plan) for part in ("train", "test"))

    def collate(examples):
        return lambda rows: {
            **inputs_of(kind, examples, torch.tensor(rows)),
            "labels": examples["labels"][torch.tensor(rows)],
        }

    report = []
    for seed in plan["seeds"]:
        set_seed(seed)
        model = classifier(kind, base, plan["classes"], plan["scale"])
        settings = TrainingArguments(
            output_dir=str(folder / "trainer"),
            max_steps=plan["steps"],
            per_device_train_batch_size=plan["batch"],
            learning_rate=plan["rate"],
            weight_decay=plan["decay"],
            lr_scheduler_type="cosine",
            warmup_steps=plan["warmup"],
            max_grad_norm=1.0,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        trainer = Trainer(model, settings, data_collator=collate(train), train_dataset=Split(len(train["labels"])))
        begin = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begin
        model.eval()
        right = 0
        with torch.no_grad():
            for rows in torch.arange(len(test["labels"])).split(64):
                predicted = model(**inputs_of(kind, test, rows)).logits.argmax(-1)
                right += int((predicted == test["labels"][rows]).sum())
        report.append({"accuracy": 100 * right / len(test["labels"]), "seconds": seconds})
    (folder / "trained.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
