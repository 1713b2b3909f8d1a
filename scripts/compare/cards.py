"""The Python side of `npm run compare -- cards`: the lines of Python in model cards, as they stand, and their heads by huggingface_hub.

Called with FOLDER it reads FOLDER/request.json (folders of models) and writes into FOLDER/said.json, for each, what its
card's lines print in that folder, and the card's head as huggingface_hub reads it: library, pipeline, and results by its
own EvalResult.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from huggingface_hub import ModelCard


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


run(Path(sys.argv[1]))
