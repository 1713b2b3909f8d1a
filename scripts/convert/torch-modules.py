"""Converts PyTorch files that adamerge does not read itself to safetensors: whole pickled modules (the original checkpoints of task vectors and
AdaMerging, ImageEncoder and ClassificationHead), plain pickles of them, files of PyTorch before 1.6, and TorchScript.

    python -m pip install torch safetensors
    python scripts/convert/torch-modules.py ViT-B-32/zeroshot.pt ViT-B-32/*/finetuned.pt ViT-B-32/head_*.pt

Beside each `x.pt` comes `x.safetensors` with the tensors of its state dict. The classes of the modules are not needed, nor is open_clip: a class or
function that is not on the short list of those that make tensors is never imported or called, an empty one stands in for it. What is in such a
module is read from its `_parameters`, `_buffers` and `_modules`, as `state_dict()` does. Needs PyTorch 1.13 or later.
"""

import argparse
import collections
import io
import pickle
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

SUFFIX = ".safetensors"
# What makes tensors, and types that are only data. Nothing here runs code of a file.
ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.nn.parameter", "Parameter"): torch.nn.Parameter,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
STORAGES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
for storage in STORAGES:
    ALLOWED[("torch", f"{storage}Storage")] = getattr(torch, f"{storage}Storage")
    ALLOWED[("torch.storage", f"{storage}Storage")] = getattr(torch, f"{storage}Storage")
# How plain pickles store tensors: bytes of a file of torch.save, which are read with the same restrictions.
NESTED = ("torch.storage", "_load_from_bytes")
# Whole modules are made by these; they are given stand-ins of classes only.
RECONSTRUCTORS = {("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("copyreg", "__newobj__")}


class StandIn:
    """An object of any class of the file: keeps what it is given, does nothing."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = state[0] or state[1]
        if isinstance(state, dict):
            self.__dict__.update((key, value) for key, value in state.items() if isinstance(key, str))

    # Subclasses of list and dict are filled by these.
    def append(self, value):
        pass

    def extend(self, values):
        pass

    def __setitem__(self, key, value):
        pass


def reconstruct(cls, *_):
    """For copyreg._reconstructor, which would call what the file says."""
    return object.__new__(cls if isinstance(cls, type) and issubclass(cls, StandIn) else StandIn)


class Unpickler(pickle.Unpickler):
    """Makes tensors, and stand-ins of everything else."""

    def find_class(self, module, name):
        if (module, name) in ALLOWED:
            return ALLOWED[(module, name)]
        if (module, name) == NESTED:
            return load_nested
        if (module, name) in RECONSTRUCTORS:
            return reconstruct
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return type(name, (StandIn,), {"__module__": module})


class RestrictedPickle:
    """What torch.load takes as its `pickle_module`."""

    Unpickler = Unpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file, **options):
        return Unpickler(file, **options).load()

    @staticmethod
    def loads(content, **options):
        return Unpickler(io.BytesIO(content), **options).load()


def load_torch(file):
    return torch.load(file, map_location="cpu", pickle_module=RestrictedPickle, weights_only=False)


def load_nested(content):
    return load_torch(io.BytesIO(content))


def load_any(path):
    """The value of a file of torch.save of any version, or of pickle.dump; the state dict of a TorchScript program."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            is_script = any(name.endswith("/constants.pkl") for name in archive.namelist())
        if is_script:
            return torch.jit.load(str(path), map_location="cpu").state_dict()
    try:
        return load_torch(str(path))
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError) as error:
        try:
            with open(path, "rb") as file:
                return RestrictedPickle.load(file)
        except Exception:
            raise error from None


def module_tensors(module, prefix=""):
    """Names and tensors of a module as its state_dict() has them."""
    left_out = getattr(module, "_non_persistent_buffers_set", set())
    own = {**getattr(module, "_parameters", {}), **getattr(module, "_buffers", {})}
    for name, value in own.items():
        if isinstance(value, torch.Tensor) and name not in left_out:
            yield prefix + name, value
    for name, child in getattr(module, "_modules", {}).items():
        if child is not None:
            yield from module_tensors(child, f"{prefix}{name}.")


def tensors_of(value, path):
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if isinstance(value, dict):
        tensors = {name: entry for name, entry in value.items() if isinstance(entry, torch.Tensor)}
        # A dictionary of one module, as training loops save it.
        modules = [entry for entry in value.values() if hasattr(entry, "_modules")]
        if not tensors and len(modules) == 1:
            tensors = dict(module_tensors(modules[0]))
    else:
        tensors = dict(module_tensors(value))
    if not tensors:
        raise SystemExit(f"{path}: expected a module or a dictionary of tensors, found {type(value).__name__} without tensors")
    # Tied weights are written twice: safetensors takes no two names for the same memory.
    return {str(name): tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="files of torch.save, pickle.dump or torch.jit.save")
    parser.add_argument("-o", "--output", type=Path, help="where the tensors of a single file go")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    options = parser.parse_args()
    if options.output is not None and len(options.files) > 1:
        parser.error("--output is for a single file")
    for path in options.files:
        output = options.output or path.with_suffix(SUFFIX)
        if output.exists() and not options.force:
            raise SystemExit(f"{output}: exists already; move it away, or give --force")
        tensors = tensors_of(load_any(path), path)
        save_file(tensors, str(output), metadata={"format": "pt"})
        output.chmod(0o644)
        elements = sum(tensor.numel() for tensor in tensors.values())
        print(f"{output}: {len(tensors)} tensors, {elements} numbers")


if __name__ == "__main__":
    sys.exit(main())
