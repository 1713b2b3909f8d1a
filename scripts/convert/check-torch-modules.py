"""Checks torch-modules.py: modules of classes like those of the original checkpoints, pickled in every way, are converted to their state dicts by a
process that does not have the classes; and a file that would run a command does not.

    python -m pip install torch safetensors open-clip-torch
    python scripts/convert/check-torch-modules.py
"""

import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import types
import typing
import warnings
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
    command = [sys.executable, str(CONVERTER), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(paths[0]).parent)


# What is said of each file of refused_attacks.
REFUSALS = {
    "script": "a TorchScript program",
    "nested": "a TorchScript program",
    "patch": "changes what it is read with",
    "outside": "inside the file's storages, found one outside",
    "bomb": "times the size of the file",
    "tar": "a tar archive",
}


def refused_attacks(folder, mark):
    """TorchScript with code that torch.jit.load runs, plainly and as the bytes of a storage; a function that is changed, which torch.load lets write
    a file; views that leave their storage or are many times the file; a tar archive, which torch.load unpacks."""

    class Restores(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.path = str(mark)

        @torch.jit.export
        def __getstate__(self):
            return (self.weight, self.path, True)

        @torch.jit.export
        def __setstate__(self, state: typing.Tuple[torch.Tensor, str, bool]):
            torch.save(state[0], state[1])
            self.weight = state[0]
            self.training = state[2]

        def forward(self, x):
            return x

    warnings.simplefilter("ignore")
    program = io.BytesIO()
    torch.jit.save(torch.jit.script(Restores()), program)
    start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    nested = b"\x80\x02ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(program.getvalue())) + program.getvalue()
    storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02NtQ"

    def views(offset, size, stride):
        sizes = b"J" + struct.pack("<i", size) + b"\x85K" + bytes([stride]) + b"\x85"
        tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"K" + bytes([offset]) + sizes + b"\x89NtR"
        content = b"\x80\x02}X\x01\x00\x00\x00t" + tensor + b"s."
        return start + content + pickle.dumps(["0"], 2) + struct.pack("<q2f", 2, 1, 2)

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            tar.addfile(tarfile.TarInfo(name))
    return {
        "script": program.getvalue(),
        "nested": nested + b"\x85R.",
        "patch": start + b"\x80\x02ctorch._utils\n_rebuild_tensor\nN}X\x08\x00\x00\x00__name__X\x01\x00\x00\x00xs\x86b.",
        "outside": views(1, 2, 1),
        "bomb": views(0, 2**31 - 1, 0),
        "tar": archive.getvalue(),
    }


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modules = {"encoder": encoder(), "head": ClassificationHead(torch.randn(3, 4))}
        files = {(kind, way): folder / f"{kind}-{way}.pt" for kind in modules for way in WAYS}
        for (kind, way), path in files.items():
            WAYS[way](modules[kind], str(path))
        result = convert(*files.values())
        assert result.returncode == 0, result.stderr
        for (kind, _), path in files.items():
            found, expected = load_file(path.with_suffix(".safetensors")), modules[kind].state_dict()
            assert list(sorted(found)) == list(sorted(expected)), f"{path.name}: {sorted(found)}"
            for tensor, value in expected.items():
                assert torch.equal(found[tensor], value), f"{path.name}: {tensor}"
        mark = folder / "executed"
        attacks = {way: {"weight": torch.ones(2), "attack": Command(mark)} for way in ("zip", "legacy", "pickle")}
        paths = [folder / f"attack-{way}.pt" for way in attacks]
        for (way, value), path in zip(attacks.items(), paths):
            WAYS[way](value, str(path))
        result = convert(*paths)
        assert not mark.exists(), "an attack was executed"
        assert result.returncode == 0, result.stderr
        for path in paths:
            assert list(load_file(path.with_suffix(".safetensors"))) == ["weight"], path.name
        for kind, content in refused_attacks(folder, mark).items():
            path = folder / f"attack-{kind}.pt"
            path.write_bytes(content)
            before = set(folder.iterdir())
            result = convert(path)
            assert set(folder.iterdir()) == before, f"{path.name} was executed"
            assert result.returncode == 1 and "Traceback" not in result.stderr, f"{path.name}: {result.stderr}"
            assert REFUSALS[kind] in result.stderr, f"{path.name}: {result.stderr}"
        again = convert(folder / "head-zip.pt")
        assert again.returncode != 0 and "exists already" in again.stderr
    print(f"{len(files)} files of modules converted; {len(attacks) + len(REFUSALS)} attacks without effect")


if __name__ == "__main__":
    main()
