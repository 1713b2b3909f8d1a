"""Makes layer-orders/: the order of layers in FusionBench's tensors (the parameters of transformers' CLIPVisionModel), and .npy files written by NumPy."""

import json
from pathlib import Path

import numpy as np
import transformers
from transformers import CLIPVisionConfig, CLIPVisionModel

FOLDER = Path(__file__).parent / "layer-orders"


def main():
    FOLDER.mkdir(exist_ok=True)
    config = CLIPVisionConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
    )
    names = [name.removeprefix("vision_model.") for name, _ in CLIPVisionModel(config).named_parameters()]
    text = json.dumps({"transformers": transformers.__version__, "parameters": names}, indent=1)
    (FOLDER / "parameters.json").write_text(text + "\n")
    values = np.arange(3 * len(names)).reshape(3, -1) / 64
    np.save(FOLDER / "layer-wise-f4.npy", values.astype(np.float32))
    np.save(FOLDER / "layer-wise-f8.npy", values)
    np.save(FOLDER / "fortran.npy", np.asfortranarray(values))
    np.save(FOLDER / "task-wise.npy", np.array([0.25, 0.5, 0.125], dtype=np.float32))
    np.save(FOLDER / "integers.npy", np.arange(3))


main()
