"""Makes the golden files of the safetensors reader and writer with the reference library.

    python -m pip install torch safetensors && python test/golden/make-safetensors.py

`mixed.safetensors` and `mixed.json`: every dtype that is read, odd shapes and names; the writer must reproduce
the file byte for byte. `half.safetensors`: float32 inputs (ties, denormals, overflow, random bits) and what
torch rounds them to in F16 and BF16, as integers. `half.json`: sha256 of all 65,536 patterns of both
dtypes as torch decodes them, NaN replaced by 0.
"""

import hashlib
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent

mixed = {
    "weight": torch.tensor([[0.5, -1.25, 3.0], [1e-8, 65504.0, -0.0]], dtype=torch.float32),
    "half": torch.tensor([1.0, -2.5, 6.1e-5, 6e-8, 65504.0], dtype=torch.float16),
    "brain": torch.tensor([[1.0], [-3.140625], [1e38]], dtype=torch.bfloat16),
    "scalar": torch.tensor(4.605170249938965, dtype=torch.float32),
    "empty": torch.zeros((0, 7), dtype=torch.float32),
    "position_ids": torch.arange(5, dtype=torch.int64).reshape(1, 5),
    "mask": torch.tensor([1, 0, 1], dtype=torch.uint8),
    "__proto__": torch.tensor([7.0], dtype=torch.float32),
    "\u00e9\u03bb \"quoted\"": torch.tensor([8.0], dtype=torch.float32),
}
save_file(mixed, here / "mixed.safetensors", metadata={"format": "pt"})
expected = [
    {"name": name, "dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "values": t.double().flatten().tolist()}
    for name, t in mixed.items()
]
(here / "mixed.json").write_text(json.dumps(expected, indent=1) + "\n")

rng = np.random.default_rng(0)
# Every finite F16 value's neighbourhood is too much for a fixture: a sample of exact halves, their ties and neighbours.
halves = rng.integers(0, 0x7BFF, 400, dtype=np.uint16)
low, high = halves.view(np.float16).astype(np.float64), (halves + 1).astype(np.uint16).view(np.float16).astype(np.float64)
ties = ((low + high) / 2).astype(np.float32)
brain_ties = ((rng.integers(0, 0x7F7F, 400, dtype=np.uint32) << 16) | 0x8000).astype(np.uint32).view(np.float32)
random_bits = rng.integers(0, 1 << 32, 1500, dtype=np.uint32).view(np.float32)
small = (rng.standard_normal(400) * 2.0 ** rng.integers(-30, 0, 400)).astype(np.float32)
special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.996, 65520, 2**-24, 2**-25, 2**-25 * 1.0000001, 2**-14, 3.4e38, 1e-45], dtype=np.float32)
values = np.concatenate([special, ties, -ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(np.inf)), brain_ties, small, random_bits])
inputs = torch.from_numpy(values)
save_file(
    {
        "inputs": inputs,
        "f16": inputs.to(torch.float16).view(torch.int16),
        "bf16": inputs.to(torch.bfloat16).view(torch.int16),
    },
    here / "half.safetensors",
)
patterns = torch.arange(65536, dtype=torch.int32).to(torch.int16)
decoded = {}
for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
    wide = patterns.view(dtype).to(torch.float32)
    wide[torch.isnan(wide)] = 0  # payloads of NaN are not part of the contract
    decoded[name] = hashlib.sha256(wide.numpy().tobytes()).hexdigest()
(here / "half.json").write_text(json.dumps(decoded, indent=1) + "\n")
