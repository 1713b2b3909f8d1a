"""Makes the golden files of the PyTorch reader with torch.save.

    python -m pip install torch safetensors && python test/golden/make-torch.py

`torch/<name>.pt` are read, and must have the names, dtypes, shapes and values of `torch/expected.safetensors` (tensors `<name>/<tensor>`, as torch
itself loads them): state dicts plain, with every storage class, of a module, of DataParallel, in a training checkpoint, and with views.
`torch/refused/` are files of other kinds.
"""

import collections
import json
import pathlib
import warnings

import numpy as np
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent / "torch"
refused = here / "refused"
refused.mkdir(parents=True, exist_ok=True)
generator = torch.Generator().manual_seed(0)


def random(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=generator).to(dtype)


class Small(torch.nn.Module):
    """Two layers whose names are those of a state dict with versions in its metadata."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.first(x))


torch.manual_seed(0)
module = Small()
matrix, shared = random(5, 7), random(24)
files = {
    "dtypes": {
        "double": random(2, 3, dtype=torch.float64), "float": random(2, 3), "half": random(5, dtype=torch.float16),
        "brain": random(3, 1, dtype=torch.bfloat16), "long": torch.arange(-2, 3), "int": torch.arange(3, dtype=torch.int32),
        "short": torch.arange(3, dtype=torch.int16), "char": torch.arange(-1, 2, dtype=torch.int8),
        "byte": torch.arange(3, dtype=torch.uint8), "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(4.5), "empty": torch.zeros(0, 7), "__proto__": torch.ones(1), "\u00e9\u03bb": torch.ones(2),
    },
    "module": module.state_dict(),
    "parameters": {name: parameter for name, parameter in module.named_parameters()},
    "parallel": torch.nn.DataParallel(module).state_dict(),
    "training": {
        "epoch": 3, "best": 0.5, "name": "run", "betas": (0.9, 0.999), "done": False, "nothing": None, "seeds": [2**31, 2**70, -1],
        "state_dict": module.state_dict(), "optimizer": torch.optim.AdamW(module.parameters()).state_dict(), "sizes": torch.Size([1, 2]),
    },
    "views": {
        "matrix": matrix, "transposed": matrix.t(), "columns": matrix[:, 2:5], "rows": matrix[1:3], "every_other": matrix[::2, ::3],
        "permuted": random(2, 3, 4).permute(2, 0, 1), "half_transposed": random(4, 3, dtype=torch.float16).t(),
        "long_transposed": torch.arange(6).reshape(2, 3).t(), "expanded": shared[:1].expand(3, 4), "first": shared[:8],
        "overlapping": shared.as_strided((3, 4), (2, 1), 5), "tied": shared, "column": matrix[:, :1],
        "one_row": matrix.t()[3:4], "empty_view": matrix[:0].t(),
    },
}  # fmt: skip
expected = {}
for name, content in files.items():
    torch.save(content, here / f"{name}.pt")
    loaded = torch.load(here / f"{name}.pt", weights_only=True)
    for tensor, value in loaded.get("state_dict", loaded).items():
        expected[f"{name}/{tensor.removeprefix('module.')}"] = value.detach().clone().contiguous()
save_file(expected, here / "expected.safetensors")
(here / "expected.safetensors").chmod(0o644)

# The folder of an older transformers: pytorch_model.bin in shards.
state = module.state_dict()
shards = {"pytorch_model-00001-of-00002.bin": ["first.weight", "first.bias"]}
shards["pytorch_model-00002-of-00002.bin"] = [name for name in state if name not in shards["pytorch_model-00001-of-00002.bin"]]
(here / "sharded").mkdir(exist_ok=True)
for shard, names in shards.items():
    torch.save(collections.OrderedDict((name, state[name].clone()) for name in names), here / "sharded" / shard)
index = {"metadata": {"total_size": 0}, "weight_map": {name: shard for shard, names in shards.items() for name in names}}
(here / "sharded" / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")

warnings.simplefilter("ignore")
torch.save(module, refused / "whole-module.pt")
torch.save(torch.nn.Linear(2, 2), refused / "layer.pt")
torch.save({"weight": torch.ones(3)}, refused / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(torch.ones(3), refused / "tensor.pt")
torch.save(torch.optim.SGD(module.parameters(), 0.1, momentum=0.9).state_dict(), refused / "optimizer.pt")
torch.save({"weight": torch.ones(3), "labels": np.array(["a", None], dtype=object)}, refused / "numpy.pt")
torch.save({"weight": torch.ones(3), "epoch": 3}, refused / "mixed.pt")
torch.save({"weight": torch.ones(3)}, refused / "protocol-4.pt", pickle_protocol=4)
