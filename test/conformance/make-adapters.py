"""Makes adapters/: LoRA adapters of tower-quick-gelu/ as peft saves them, with the weights of its merge_and_unload, and a linearised one."""

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.func import functional_call, jvp
from transformers import CLIPVisionModelWithProjection

from clip import FOLDER, normalise, save_arrays

BASE = "tower-quick-gelu"
ADAPTERS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    # Everything that the scale can depend on, a convolution, biases, and a module that is trained whole.
    "patterns": dict(
        r=4, lora_alpha=6, use_rslora=True, bias="lora_only", init_lora_weights="gaussian", modules_to_save=["post_layernorm"],
        target_modules=["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "patch_embedding"],
        rank_pattern={"fc1": 2, "layers.1.self_attn.q_proj": 3}, alpha_pattern={"1.self_attn.v_proj": 3, "fc2": 1.5},
    ),
}  # fmt: skip


def tower():
    return CLIPVisionModelWithProjection.from_pretrained(FOLDER / BASE).eval()


def drawn(value, rng, scale):
    return torch.from_numpy((scale * rng.standard_normal(value.shape)).astype(np.float32))


def make_peft(name, settings, whole, seed):
    """An adapter of the whole model, or of its inner tower, whose names lack the prefix `vision_model.`."""
    rng = np.random.default_rng(seed)
    folder = FOLDER / "adapters" / name
    model = tower()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    adapted = get_peft_model(model if whole else model.vision_model, LoraConfig(**settings))
    with torch.no_grad():
        for key, value in adapted.named_parameters():
            if value.requires_grad:
                value.add_(drawn(value, rng, 0.1))
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()
    merged = adapted.merge_and_unload()
    after = merged.state_dict() if whole else {f"vision_model.{key}": value for key, value in merged.state_dict().items()}
    changed = {key: value.contiguous() for key, value in after.items() if not torch.equal(value, before[key])}
    save_file(changed, folder / "merged.safetensors")
    print(f"{name}: {len(changed)} of {len(before)} tensors changed")


class Linearized(torch.nn.Module):
    """A LoRA layer replaced by its first-order expansion in the factors, around those at the beginning of training."""

    def __init__(self, layer):
        super().__init__()
        self.model = layer
        initial = [(name, value.detach().clone()) for name, value in layer.named_parameters()]
        self.names = [name for name, _ in initial]
        self.params0_values = torch.nn.ParameterList([torch.nn.Parameter(value, requires_grad=False) for _, value in initial])

    def forward(self, x):
        now = tuple(dict(self.model.named_parameters()).values())
        initial = tuple(self.params0_values)

        def call(*values):
            return functional_call(self.model, dict(zip(self.names, values)), (x,))

        out, change = jvp(call, initial, tuple(a - b for a, b in zip(now, initial)))
        return out + change


def make_linearized(seed):
    """FusionBench's file: `<layer>.model.<parameter>` and `<layer>.params0_values.<number>` of what is trained. Expected: the tower's features."""
    rng = np.random.default_rng(seed)
    folder = FOLDER / "adapters" / "linearized"
    folder.mkdir(parents=True, exist_ok=True)
    model = tower()
    adapted = get_peft_model(model.vision_model, LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"]))
    layers = [name for name, module in adapted.named_modules() if hasattr(module, "lora_A") and hasattr(module, "base_layer")]
    for name in layers:
        layer = adapted.get_submodule(name)
        with torch.no_grad():
            # peft begins with B = 0; anything may stand here, and the expansion has three terms then.
            for value in layer.parameters():
                if value.requires_grad:
                    value.copy_(drawn(value, rng, 0.15))
        parent = adapted.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], Linearized(layer))
        with torch.no_grad():
            for value in layer.parameters():
                if value.requires_grad:
                    value.add_(drawn(value, rng, 0.1))
    saved = {}
    for name in layers:
        module = adapted.get_submodule(name)
        for number, (key, value) in enumerate(module.model.named_parameters()):
            if value.requires_grad:
                saved[f"{name}.model.{key}"] = value.detach()
                saved[f"{name}.params0_values.{number}"] = module.params0_values[number].detach()
    save_file(saved, folder / "linearized_adapter_model.safetensors")
    adapted.peft_config["default"].save_pretrained(folder)
    pixels = load_file(FOLDER / BASE / "fixture.safetensors")["pixels"].numpy()
    with torch.no_grad():
        embeds = model.double()(normalise(pixels, torch.float64)).image_embeds
        plain = tower().double()(normalise(pixels, torch.float64)).image_embeds
    features, without = (value / value.norm(dim=-1, keepdim=True) for value in (embeds, plain))
    print(f"linearized: cosines to the base {(features * without).sum(-1).tolist()}")
    save_arrays(folder / "expected.safetensors", features_f64=features)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make_peft("plain", ADAPTERS["plain"], True, 0)
    make_peft("patterns", ADAPTERS["patterns"], False, 1)
    make_linearized(2)
    # peft notes where the base was on this machine.
    for path in (FOLDER / "adapters").glob("*/adapter_config.json"):
        path.write_text(path.read_text().replace(str(FOLDER / BASE), f"../../{BASE}"))
    for path in (FOLDER / "adapters").glob("*/*.safetensors"):
        path.chmod(0o644)
