"""Models that PyTorch fine-tunes beside `adamerge finetune`: transformers' own classes, with peft's LoRA where asked.

Dropout of the base is off, since ours has none; what else a model is follows from its folder. B examples, C classes.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, CLIPVisionModelWithProjection
from transformers.modeling_outputs import SequenceClassifierOutput

# Linear layers of the blocks, by the ends of their names; peft keeps what it is told to save beside them trainable.
TARGETS = {
    "text": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "layer.*.output.dense"],
    "image": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
}


class ImageClassifier(nn.Module):
    """CLIP's vision tower with a linear layer on features of length 1; transformers has no such class."""

    def __init__(self, tower, classes, scale):
        super().__init__()
        self.tower, self.scale = tower, scale
        self.classifier = nn.Linear(tower.config.projection_dim, classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, pixel_values, labels=None):
        features = F.normalize(self.tower(pixel_values=pixel_values).image_embeds, dim=-1)
        logits = self.classifier(self.scale * features)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def classifier(kind, folder, classes, scale):
    """In float32, whatever the files have; a drawn head."""
    if kind == "image":
        return ImageClassifier(CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32), classes, scale)
    config = AutoConfig.from_pretrained(folder, num_labels=classes)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    return AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32)


def with_lora(model, kind, rank, alpha):
    """Factors of the blocks' linear layers, which are trained with the head."""
    from peft import LoraConfig, get_peft_model

    own = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    ends = [re.compile(rf"(^|\.){end.replace('.', '[.]').replace('*', '[0-9]+')}$") for end in TARGETS[kind]]
    chosen = sorted(name for name in own if any(end.search(name) for end in ends))
    settings = LoraConfig(r=rank, lora_alpha=alpha, target_modules=chosen, modules_to_save=["classifier"])
    return get_peft_model(model, settings)


def inputs_of(kind, examples, rows):
    """Of the examples' tensors, what a batch of the model is: texts padded to the longest among them."""
    if kind == "image":
        pixels = examples["images"][rows].to(torch.float32).permute(0, 3, 1, 2)
        return {"pixel_values": (pixels / 255 - examples["mean"]) / examples["std"]}
    mask = examples["attention_mask"][rows].long()
    longest = int(mask.sum(1).max())
    return {"input_ids": examples["input_ids"][rows, :longest].long(), "attention_mask": mask[:, :longest]}
