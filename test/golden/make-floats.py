"""Makes the golden files of the float types that are neither F32, F16 nor BF16, with torch.

    python -m pip install torch safetensors && python test/golden/make-floats.py

`floats/stored.safetensors` and `floats/stored.pt`: all 256 patterns of each 8-bit type, and numbers of float64: ties, neighbours, denormals of
float32, the largest, infinities, NaN. `floats/expected.safetensors`: what torch casts them to in float32.
"""

import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent / "floats"
here.mkdir(exist_ok=True)
rng = np.random.default_rng(0)
floats = rng.integers(0, 0x7F7FFFFE, 200, dtype=np.uint32)
low, high = floats.view(np.float32).astype(np.float64), (floats + 1).astype(np.uint32).view(np.float32).astype(np.float64)
ties = (low + high) / 2
special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 7e-46, 7.1e-46, 1e-50, 3.4028234663852886e38, 3.4028235e38, 0.1, -1 / 3])
doubles = np.concatenate([special, ties, -ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf)])
patterns = torch.arange(256, dtype=torch.int32).to(torch.uint8)
stored = {
    name: patterns.clone().view(getattr(torch, f"float8_{name}")).reshape(16, 16) for name in ["e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz"]
}
stored["double"] = torch.from_numpy(doubles)
save_file(stored, here / "stored.safetensors")
torch.save({**stored, "transposed": stored["e4m3fn"].t()[2:]}, here / "stored.pt")
expected = {name: value.float() for name, value in stored.items()}
expected["transposed"] = expected["e4m3fn"].t()[2:].contiguous()
save_file(expected, here / "expected.safetensors")
for path in here.iterdir():
    path.chmod(0o644)
