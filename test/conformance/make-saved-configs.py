"""Makes saved-configs/transformers-<version>/: the JSON files that this Python's transformers writes for the model of clip/ and for its vision tower.

Run it once with transformers 4 and once with 5. What differs between them (the name of dtype, which fields are checked to be floats) is what a merged
model must keep as it is.
"""

import tempfile
from pathlib import Path

import transformers
from transformers import CLIPImageProcessor, CLIPModel, CLIPVisionModelWithProjection

FOLDER = Path(__file__).resolve().parent


def make():
    folder = FOLDER / "saved-configs" / f"transformers-{transformers.__version__.split('.')[0]}"
    whole = CLIPModel.from_pretrained(FOLDER / "clip")
    processor = CLIPImageProcessor.from_pretrained(FOLDER / "clip")
    tower = CLIPVisionModelWithProjection(whole.config.vision_config)
    for name, model in (("clip", whole), ("vision", tower)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            processor.save_pretrained(saved)
            for file in ("config.json", "preprocessor_config.json"):
                (place / file).write_bytes((Path(saved) / file).read_bytes())


if __name__ == "__main__":
    make()
