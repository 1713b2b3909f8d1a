"""PyTorch's side of `npm run bench -- finetune`: a step as transformers' Trainer makes it, without what Trainer does
around it. The model's own class of transformers, peft's LoRA where asked, autograd, gradients clipped at norm 1,
torch.optim.AdamW in its fused form, which is Trainer's default. Trains on the batches of FILE in their order, from the
head that is in it.

Answers JSON lines on stdin with JSON lines on stdout: open, step. Needs torch, transformers, safetensors, and peft for
LoRA.
"""

import argparse
import json
import sys
import time

import torch
from safetensors import safe_open
from tuned_models import classifier, inputs_of, with_lora


class Peer:
    def __init__(self, options):
        self.options, self.next = options, 0

    def open(self, _):
        begin = time.perf_counter()
        with safe_open(self.options.file, "pt") as file:
            self.examples = {name: file.get_tensor(name) for name in file.keys()}
            plan = json.loads(file.metadata()["plan"])
        self.kind = plan["kind"]
        if self.kind == "image":
            for name in ("mean", "std"):
                self.examples[name] = torch.tensor(plan[name]).view(1, 3, 1, 1)
        weight = self.examples["head"]
        model = classifier(self.kind, self.options.base, weight.shape[0], plan["scale"])
        with torch.no_grad():
            model.classifier.weight.copy_(weight)
            model.classifier.bias.zero_()
        if plan["rank"] > 0:
            model = with_lora(model, self.kind, plan["rank"], plan["alpha"])
        self.model = model.train()
        self.trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
        decayed = {True: [], False: []}
        for name, value in self.trained:
            decayed[value.ndim > 1].append(value)
        groups = [{"params": values, "weight_decay": plan["decay"] if decays else 0.0} for decays, values in decayed.items()]
        self.optimizer = torch.optim.AdamW(groups, lr=plan["rate"], fused=True)
        loss = self.train_step()
        return {
            "loss": loss.item(),
            "secondsToFirstStep": time.perf_counter() - begin,
            "trained": sum(value.numel() for _, value in self.trained),
            "threads": torch.get_num_threads(),
        }

    def train_step(self):
        rows = self.examples["order"][self.next % len(self.examples["order"])].long()
        self.next += 1
        labels = self.examples["labels"][rows].long()
        loss = self.model(**inputs_of(self.kind, self.examples, rows), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([value for _, value in self.trained], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def step(self, request):
        times = []
        for _ in range(request["count"]):
            begin = time.perf_counter()
            loss = self.train_step().item()
            times.append(1000 * (time.perf_counter() - begin))
        return {"ms": times, "loss": loss}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    peer = Peer(options)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"open": peer.open, "step": peer.step}[request["kind"]](request)
        except Exception as error:  # noqa: BLE001: the other side is told, whatever it is
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
