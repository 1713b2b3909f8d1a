"""transformers' side of `npm run compare -- image-encoder`: images, and what a model's processor (PIL backend) and
the model make of them.

`make MODEL FOLDER COUNT` writes COUNT images of fixed seeds, images.json (their names), and expected.safetensors:
`pixels` U8 [N, H, W, 3], the images before scaling and normalisation, and in float32 and, under `<name>_f64`, in
float64 (rounded when it is written) `cls` [N, D], the class token behind the last norm, `mean` [N, D] of the
patches and, of a model saved with a classifier, `logits` [N, C]. Needs transformers, torch, pillow, numpy,
safetensors.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

from preprocessing import between, picture

SEED = 23
PATCH_BATCH = 4


def processor_of(folder):
    described = json.loads((folder / "preprocessor_config.json").read_text())
    kind = described["image_processor_type"].removesuffix("Fast").removesuffix("ImageProcessor")
    module = importlib.import_module(f"transformers.models.{kind.lower()}.image_processing_pil_{kind.lower()}")
    return getattr(module, f"{kind}ImageProcessorPil").from_pretrained(folder)


def in_front(config):
    return 1 + (config.model_type == "deit") + getattr(config, "num_register_tokens", 0)


def features(model, images):
    tower = getattr(model, model.base_model_prefix, model)
    found = {"cls": [], "mean": [], "logits": []}
    with torch.no_grad():
        for batch in images.split(PATCH_BATCH):
            hidden = tower(batch).last_hidden_state
            found["cls"].append(hidden[:, 0])
            found["mean"].append(hidden[:, in_front(model.config) :].mean(1))
            if tower is not model:
                found["logits"].append(model(batch).logits)
    return {name: torch.cat(parts) for name, parts in found.items() if parts}


def make(model_folder, folder, count):
    config = transformers.AutoConfig.from_pretrained(model_folder)
    # Not "eager" attention, whose softmax of some models is always in float32.
    model = getattr(transformers, config.architectures[0]).from_pretrained(model_folder, attn_implementation="sdpa").eval()
    processor = processor_of(model_folder)
    names, pixels, inputs = [], [], []
    for index in range(count):
        rng = np.random.default_rng([SEED, index])
        image = picture(rng, *between(rng, 60, 500))
        names.append(f"{index:02d}.png")
        image.save(folder / names[-1])
        pixels.append(processor(image, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0])
        inputs.append(processor(image, return_tensors="pt")["pixel_values"][0])
    single = features(model, torch.stack(inputs))
    # Normalised in float64 as well, so that nothing but rounding to float32 is compared.
    levels = torch.stack(pixels).double() * processor.rescale_factor
    mean, std = (torch.tensor(value, dtype=torch.float64).reshape(3, 1, 1) for value in (processor.image_mean, processor.image_std))
    double = features(model.double(), (levels - mean) / std)
    arrays = {**single, **{f"{name}_f64": value.float() for name, value in double.items()}}
    arrays["pixels"] = torch.stack(pixels).permute(0, 2, 3, 1).to(torch.uint8).contiguous()
    save_file({name: value.contiguous() for name, value in arrays.items()}, folder / "expected.safetensors")
    (folder / "images.json").write_text(json.dumps(names))


if __name__ == "__main__":
    make(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
