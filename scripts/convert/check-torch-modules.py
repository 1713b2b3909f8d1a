"""Checks torch-modules.py: modules of classes like those of the original checkpoints, pickled in every way, are converted to their state dicts by a
process that does not have the classes; and a file that would run a command does not.

    python -m pip install torch safetensors open-clip-torch
    python scripts/convert/check-torch-modules.py
"""

import os
import pickle
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import torch
from safetensors.torch import load_file

CONVERTER = Path(__file__).resolve().parent / "torch-modules.py"

modeling = types.ModuleType("src.modeling")
sys.modules["src"] = types.ModuleType("src")
sys.modules["src.modeling"] = modeling


def class_of_the_authors(cls):
    """Pickled as `src.modeling.<name>`, which nobody else has."""
    cls.__module__ = "src.modeling"
    setattr(modeling, cls.__name__, cls)
    return cls


@class_of_the_authors
class ImageEncoder(torch.nn.Module):
    """A model under `model`, its text transformer deleted, with things beside it that are no tensors."""

    def __init__(self, model, preprocess):
        super().__init__()
        self.model = model
        self.train_preprocess = preprocess
        self.cache_dir = None
        if hasattr(self.model, "transformer"):
            delattr(self.model, "transformer")

    def forward(self, images):
        return self.model.encode_image(images)


@class_of_the_authors
class ClassificationHead(torch.nn.Linear):
    def __init__(self, weights):
        super().__init__(weights.shape[1], weights.shape[0])
        self.normalize = True
        self.weight = torch.nn.Parameter(weights.clone())
        self.bias = torch.nn.Parameter(torch.zeros_like(self.bias))


class Command:
    """What an attack does."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def encoder():
    import open_clip

    vision = open_clip.model.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=16)
    text = open_clip.model.CLIPTextCfg(context_length=4, vocab_size=6, width=8, heads=2, layers=1)
    model = open_clip.model.CLIP(4, vision, text, quick_gelu=True)
    preprocess = open_clip.transform.image_transform(16, is_train=False)
    return ImageEncoder(model, preprocess)


def dump(value, path):
    with open(path, "wb") as file:
        pickle.dump(value, file)


WAYS = {
    "zip": torch.save,
    "legacy": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "pickle": dump,
    "checkpoint": lambda value, path: torch.save({"epoch": 1, "state_dict": value.state_dict()}, path),
    "legacy-state": lambda value, path: torch.save(value.state_dict(), path, _use_new_zipfile_serialization=False),
}


def convert(*paths):
    return subprocess.run([sys.executable, str(CONVERTER), *map(str, paths)], capture_output=True, text=True)


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modules = {"encoder": encoder(), "head": ClassificationHead(torch.randn(3, 4))}
        for kind, module in modules.items():
            for way, save in WAYS.items():
                path = folder / f"{kind}-{way}.pt"
                save(module, str(path))
                result = convert(path)
                assert result.returncode == 0, f"{path.name}: {result.stderr}"
                found, expected = load_file(path.with_suffix(".safetensors")), module.state_dict()
                assert list(sorted(found)) == list(sorted(expected)), f"{path.name}: {sorted(found)}"
                for tensor, value in expected.items():
                    assert torch.equal(found[tensor], value), f"{path.name}: {tensor}"
        script = torch.jit.script(torch.nn.Linear(2, 3))
        torch.jit.save(script, str(folder / "script.pt"))
        assert convert(folder / "script.pt").returncode == 0
        assert torch.equal(load_file(folder / "script.safetensors")["weight"], script.weight)
        mark = folder / "executed"
        for way in ("zip", "legacy", "pickle"):
            path = folder / f"attack-{way}.pt"
            WAYS[way]({"weight": torch.ones(2), "attack": Command(mark)}, str(path))
            result = convert(path)
            assert not mark.exists(), f"{path.name} was executed"
            assert result.returncode == 0 and list(load_file(path.with_suffix(".safetensors"))) == ["weight"], result.stderr
        again = convert(folder / "script.pt")
        assert again.returncode != 0 and "exists already" in again.stderr
    print(f"{len(modules) * len(WAYS)} files of modules converted, TorchScript too; three attacks without effect")


if __name__ == "__main__":
    main()
