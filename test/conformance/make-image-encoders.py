"""Makes image-encoders/: small ViT, DeiT and DINOv2 models with random weights, saved by `transformers` 5, and what
they compute.

One folder for each model, with config.json, model.safetensors and preprocessor_config.json as `save_pretrained`
writes them, and fixture.safetensors: images of the size that the preprocessing makes, features and logits in
float64. Some have experts/ as well: then the fixture has one step of merging, its losses and the gradient of its
coefficients. preprocessing.safetensors: what the image processors of the three families make of a few images;
positions.safetensors: what torch makes of tables of positions; vit-adapter/: a LoRA adapter of vit-classifier by
peft. Needs torchvision and peft too.
"""

import re

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch.func import functional_call

from clip import FOLDER, random_weights, save_arrays, smooth_images, entropy

OUT = FOLDER / "image-encoders"
IMAGES = 3
CLASSES = 5
EXPERTS = 2
SMALL = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, num_labels=CLASSES, attn_implementation="sdpa")
PLAIN = dict(**SMALL, intermediate_size=20, patch_size=4, image_size=16)
DINO = dict(**SMALL, mlp_ratio=2, patch_size=4)
STANDARD = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])

# Name: class of the model, settings, whether a step of merging is made of it, image size [H, W] (of DINOv2 not the config's).
MODELS = {
    "vit": ("ViTModel", dict(**PLAIN, pooler_output_size=8), False, (16, 16)),
    "vit-classifier": ("ViTForImageClassification", PLAIN, True, (16, 16)),
    "deit": ("DeiTModel", PLAIN, False, (16, 16)),
    "deit-classifier": ("DeiTForImageClassification", PLAIN, False, (16, 16)),
    "dinov2": ("Dinov2Model", dict(**DINO, image_size=16), False, (16, 16)),
    # A table of 3 x 3 for 5 x 4 patches.
    "dinov2-classifier": ("Dinov2ForImageClassification", dict(**DINO, image_size=14), False, (20, 18)),
    # A table of 7 x 7 for 4 x 5 patches.
    "dinov2-swiglu": ("Dinov2Model", dict(**DINO, image_size=28, use_swiglu_ffn=True), False, (18, 22)),
    # A table of 6 x 6 for 4 x 4 patches, antialiased.
    "registers-classifier": (
        "Dinov2WithRegistersForImageClassification",
        dict(**DINO, image_size=24, num_register_tokens=3, use_swiglu_ffn=True),
        True,
        (16, 16),
    ),
}  # fmt: skip


def processor_of(name, size):
    height, width = size
    exact = dict(height=height, width=width)
    if name.startswith("vit"):
        return transformers.ViTImageProcessor(size=exact, **STANDARD)
    if name.startswith("deit"):
        return transformers.DeiTImageProcessor(size=dict(height=height + 2, width=width + 2), crop_size=exact, **IMAGENET)
    return transformers.BitImageProcessor(size=dict(shortest_edge=max(size) + 2), crop_size=exact, **IMAGENET)


def normalise(pixels, processor, dtype):
    x = torch.from_numpy(pixels).to(dtype) / 255
    mean, std = (torch.tensor(value, dtype=dtype) for value in (processor.image_mean, processor.image_std))
    return ((x - mean) / std).permute(0, 3, 1, 2)


def module_name(canonical):
    """The name in a module of transformers 5 of a tensor's name in its files, but for SwiGLU's first layer."""
    name = re.sub(r"attention\.attention\.(query|key|value)", lambda m: f"attention.{m[1][0]}_proj", canonical)
    name = name.replace("attention.output.dense", "attention.o_proj").replace("mlp.weights_out", "mlp.down_proj")
    if canonical.startswith(("vit.", "deit.")):
        name = name.replace("intermediate.dense", "mlp.fc1").replace("output.dense", "mlp.fc2").replace("encoder.layer.", "layers.")
    return name


def as_modules(weights):
    found = {}
    for name, value in weights.items():
        if "mlp.weights_in" in name:
            for part, half in zip(("gate_proj", "up_proj"), value.chunk(2)):
                found[name.replace("weights_in", part)] = half
        else:
            found[module_name(name)] = value
    return found


def tokens_in_front(model):
    return 1 + (model.config.model_type == "deit") + getattr(model.config, "num_register_tokens", 0)


def make(name, seed):
    kind, settings, has_experts, size = MODELS[name]
    rng = np.random.default_rng(seed)
    folder = OUT / name
    config = getattr(transformers, kind).config_class(**settings)
    model = getattr(transformers, kind)(config).eval()
    random_weights(model, rng)
    # So narrow a model sees little of its images with smaller ones.
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("lambda1"):
                value.copy_(torch.from_numpy(1 + 0.3 * rng.standard_normal(value.shape)))
            elif value.ndim == 2:
                value.mul_(2)
    processor = processor_of(name, size)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    side = max(size)
    pixels = smooth_images(rng, IMAGES, side)[:, : size[0], : size[1]].copy()
    images = normalise(pixels, processor, torch.float64)
    model = model.double()
    tower = model if kind.endswith("Model") else getattr(model, model.base_model_prefix)
    with torch.no_grad():
        out = tower(images)
        hidden = out.last_hidden_state
        arrays = {"cls": hidden[:, 0], "mean": hidden[:, tokens_in_front(model) :].mean(1)}
        if kind in ("ViTModel", "DeiTModel"):
            arrays["pooler"] = out.pooler_output
        if tower is not model:
            arrays["logits"] = model(images).logits
    if has_experts:
        arrays |= step(folder, model, processor, size, rng)
    spread = (arrays["cls"][0] - arrays["cls"][1]).norm() / arrays["cls"][0].norm()
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, features differ by {spread:.2f}")
    save_arrays(folder / "fixture.safetensors", pixels=pixels, **arrays)


def step(folder, model, processor, size, rng):
    """Losses per task (mean entropy of the expert's own classifier) and the gradient of lambda [N, K], tensors in alphabetical order."""
    base = load_file(folder / "model.safetensors")
    names = sorted(name for name in base if not name.startswith("classifier.") and not name.endswith("mask_token"))
    experts = []
    for index in range(EXPERTS):
        noise = {n: 0.3 * max(float(v.std()), 0.05) * rng.standard_normal(v.shape) for n, v in base.items()}
        weights = {n: (v + noise[n]).astype(np.float32) for n, v in base.items()}
        (folder / "experts").mkdir(exist_ok=True)
        save_file(weights, folder / "experts" / f"{index}.safetensors", metadata={"format": "pt"})
        (folder / "experts" / f"{index}.safetensors").chmod(0o644)
        experts.append(weights)
    lambdas = torch.tensor(0.3 + 0.1 * rng.standard_normal((len(names), EXPERTS)), requires_grad=True)
    merged = {}
    for row, name in enumerate(names):
        tau = torch.from_numpy(np.stack([expert[name] - base[name] for expert in experts])).double()
        merged[name] = torch.from_numpy(base[name]).double() + torch.tensordot(lambdas[row], tau, dims=1)
    pixels = [smooth_images(rng, IMAGES, max(size))[:, : size[0], : size[1]].copy() for _ in range(EXPERTS)]
    losses = []
    for task, own in enumerate(pixels):
        head = {n: torch.from_numpy(v).double() for n, v in experts[task].items() if n.startswith("classifier.")}
        values = as_modules(merged | head)
        logits = functional_call(model, values, (normalise(own, processor, torch.float64),)).logits
        losses.append(entropy(logits))
    losses = torch.stack(losses)
    losses.sum().backward()
    print(f"  step: losses {losses.tolist()}, largest gradient {lambdas.grad.abs().max():.3f}")
    arrays = {f"step.pixels.{task}": value for task, value in enumerate(pixels)}
    return arrays | {"step.lambda": lambdas, "step.losses": losses, "step.gradient": lambdas.grad}


def preprocessing(seed):
    """Noise with edges, larger and smaller than what it becomes: by the PIL backend and by the torchvision backend."""
    rng = np.random.default_rng(seed)
    arrays = {}
    exact = dict(height=24, width=24)
    settings = {
        "ViT": dict(size=exact),
        "DeiT": dict(size=dict(height=28, width=28), crop_size=exact),
        "Bit": dict(size=dict(shortest_edge=28), crop_size=exact),
    }
    for number, (height, width) in enumerate(((50, 67), (40, 19))):
        image = smooth_images(rng, 1, max(height, width))[0, :height, :width].astype(np.int64)
        image = np.clip(image + rng.integers(-40, 40, image.shape), 0, 255).astype(np.uint8)
        image[height // 4 : height // 2, width // 4 : width // 2] = 255
        arrays[f"image.{number}"] = image
        for name, options in settings.items():
            for backend, suffix in (("pil", "Pil"), ("torchvision", "")):
                processor = getattr(transformers, f"{name}ImageProcessor{suffix}")(**options)
                found = processor(Image.fromarray(image), do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
                assert torch.equal(found, found.to(torch.uint8).to(found.dtype))
                arrays[f"{name}.{backend}.{number}"] = found.permute(1, 2, 0).to(torch.uint8)
    save_arrays(OUT / "preprocessing.safetensors", **arrays)


def positions(seed):
    """Grids of one channel, interpolated as DINOv2 does (without antialiasing) and as DINOv2 with registers (with it)."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for rows, columns, new_rows, new_columns in ((7, 7, 4, 5), (3, 3, 5, 8), (16, 16, 13, 16), (5, 5, 1, 2)):
        name = f"{rows}x{columns}-{new_rows}x{new_columns}"
        grid = torch.from_numpy(rng.standard_normal((1, 1, rows, columns)))
        arrays[f"{name}.table"] = grid.reshape(-1)
        for antialias in (False, True):
            size = (new_rows, new_columns)
            found = torch.nn.functional.interpolate(grid, size=size, mode="bicubic", align_corners=False, antialias=antialias)
            arrays[f"{name}.{'antialiased' if antialias else 'plain'}"] = found.reshape(-1)
    save_arrays(OUT / "positions.safetensors", **arrays)


def adapter(seed):
    """Of transformers 5, whose modules have other names than its files."""
    rng = np.random.default_rng(seed)
    folder, base = OUT / "vit-adapter", OUT / "vit-classifier"
    model = transformers.ViTForImageClassification.from_pretrained(base).eval()
    settings = LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "o_proj", "fc1", "fc2"], modules_to_save=["classifier"])
    adapted = get_peft_model(model, settings)
    with torch.no_grad():
        for value in adapted.parameters():
            if value.requires_grad:
                value.add_(torch.from_numpy((0.1 * rng.standard_normal(value.shape)).astype(np.float32)))
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()
    (folder / "adapter_model.safetensors").chmod(0o644)
    # peft notes where the base was on this machine.
    file = folder / "adapter_config.json"
    file.write_text(file.read_text().replace(str(base), "../vit-classifier"))
    merged = adapted.merge_and_unload().double()
    pixels = load_file(base / "fixture.safetensors")["pixels"]
    with torch.no_grad():
        hidden = merged.vit(normalise(pixels, processor_of("vit", (16, 16)), torch.float64)).last_hidden_state
    save_arrays(folder / "expected.safetensors", cls=hidden[:, 0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed, name in enumerate(MODELS):
        make(name, 100 + seed)
    preprocessing(200)
    positions(300)
    torch.manual_seed(0)
    adapter(400)
