"""The Python side of `npm run compare -- cards`: the lines of Python in model cards, as they stand, and their heads by huggingface_hub.

`make FOLDER` writes a ViT of random weights, FOLDER/vit. `run FOLDER` reads FOLDER/request.json (folders of models) and
writes into FOLDER/said.json, for each, what its card's lines print in that folder, and the card's head as
huggingface_hub reads it: library, pipeline, base models, licence, and results by its own EvalResult.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from huggingface_hub import ModelCard


def make(folder):
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(7)
    config = ViTConfig(
        hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192, image_size=64, patch_size=8,
        initializer_range=0.1,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "vit")
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder / "vit")


def run(folder):
    said = {}
    for name, place in json.loads((folder / "request.json").read_text()).items():
        card = ModelCard.load(Path(place) / "README.md")
        [lines] = re.findall(r"```python\n(.*?)\n```", card.content, re.DOTALL)
        done = subprocess.run([sys.executable, "-c", lines], cwd=place, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{place}: the card's lines fail:\n{lines}\n{done.stderr}")
        data = card.data
        said[name] = {
            "printed": done.stdout.splitlines(),
            "lines": len(lines.splitlines()),
            "library": data.library_name,
            "pipeline": data.pipeline_tag,
            "results": [f"{one.dataset_name}: {one.metric_type} {one.metric_value}" for one in data.eval_results or []],
        }
    (folder / "said.json").write_text(json.dumps(said))


{"make": make, "run": run}[sys.argv[1]](Path(sys.argv[2]))
