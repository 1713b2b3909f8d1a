"""Converts PyTorch files that adamerge does not read itself to safetensors: whole pickled modules (the original checkpoints of task vectors and
AdaMerging, ImageEncoder and ClassificationHead), plain pickles of them, and files of PyTorch before 1.6. TorchScript is read by adamerge itself.

    python -m pip install torch safetensors
    python scripts/convert/torch-modules.py ViT-B-32/zeroshot.pt ViT-B-32/*/finetuned.pt ViT-B-32/head_*.pt

Beside each `x.pt` comes `x.safetensors` with the tensors of its state dict. The classes of the modules are not needed, nor is open_clip: nothing that a
file names is imported or called (inert_pickle.py). What is in a module is read from its `_parameters`, `_buffers` and `_modules`, as `state_dict()` does.
"""

import argparse
import sys
from pathlib import Path

from inert_pickle import Refused, View, load_any
from safetensors.torch import save_file

SUFFIX = ".safetensors"
# Tensors may share storages or repeat elements, but what is written must stay near what was read.
MOST_DECODED = 4
# Modules of modules; Python itself gives up at 1000.
MAX_DEPTH = 64


def module_views(module, prefix="", depth=1):
    """Names and tensors of a module as its state_dict() has them."""
    if depth > MAX_DEPTH:
        raise Refused(f"expected modules at most {MAX_DEPTH} deep, found deeper ones")
    left_out = dict_of(module, "_non_persistent_buffers_set", set())
    for name, value in {**dict_of(module, "_parameters"), **dict_of(module, "_buffers")}.items():
        if isinstance(value, View) and name not in left_out:
            yield f"{prefix}{name}", value
    for name, child in dict_of(module, "_modules").items():
        if child is not None:
            yield from module_views(child, f"{prefix}{name}.", depth + 1)


def dict_of(module, name, default=None):
    """An attribute of the type that modules have there."""
    default = {} if default is None else default
    value = getattr(module, name, default)
    return value if isinstance(value, type(default)) else default


def tensors_of(value, most_bytes):
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if isinstance(value, dict):
        views = {str(name): entry for name, entry in value.items() if isinstance(entry, View)}
        # A dictionary of one module, as training loops save it.
        modules = [entry for entry in value.values() if hasattr(entry, "_modules")]
        if not views and len(modules) == 1:
            views = dict(module_views(modules[0]))
    else:
        views = dict(module_views(value))
    if not views:
        raise Refused(f"expected a module or a dictionary of tensors, found {type(value).__name__} without tensors")
    if sum(view.elements * view.storage.dtype.itemsize for view in views.values()) > most_bytes:
        raise Refused(f"expected tensors of at most {MOST_DECODED} times the size of the file, found more")
    # Tied weights are written twice: safetensors takes no two names for the same memory.
    return {name: view.tensor() for name, view in views.items()}


def convert(path, output):
    try:
        with open(path, "rb") as file:
            tensors = tensors_of(load_any(file), MOST_DECODED * path.stat().st_size)
    except Refused as refusal:
        raise SystemExit(f"{path}: {refusal}") from None
    except (OSError, MemoryError) as error:
        raise SystemExit(f"{path}: {error}") from None
    except Exception as error:  # of a damaged or hostile file, whatever the pickle's instructions ran into
        raise SystemExit(f"{path}: not a PyTorch file or pickle that can be read ({type(error).__name__}: {error})") from None
    save_file(tensors, str(output), metadata={"format": "pt"})
    output.chmod(0o644)
    elements = sum(tensor.numel() for tensor in tensors.values())
    print(f"{output}: {len(tensors)} tensors, {elements} numbers")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="files of torch.save or pickle.dump")
    parser.add_argument("-o", "--output", type=Path, help="where the tensors of a single file go")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    options = parser.parse_args()
    if options.output is not None and len(options.files) > 1:
        parser.error("--output is for a single file")
    for path in options.files:
        output = options.output or path.with_suffix(SUFFIX)
        if output.exists() and not options.force:
            raise SystemExit(f"{output}: exists already; move it away, or give --force")
        convert(path, output)


if __name__ == "__main__":
    sys.exit(main())
