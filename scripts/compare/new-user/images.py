"""Three data sets of labelled images as a folder per class, and what a small tower is pretrained on, from the suite that ships with adamerge.

    images.py OUT [--mini8 datasets/mini8]

writes OUT/tasks/<task>/{train,adapt,val,test}/<class>/<number>.png of
- clothes: Fashion-MNIST (MIT), digits: MNIST (CC BY-SA 3.0), earth: land cover from space (NASA, public domain); datasets/mini8/LICENSES.md has it all,
and OUT/pretraining/<task>/<class>/<number>.png of the other tasks of mini8 (typefaces, signs, emoji, sketches).
The suite ships 2,500 images a task and not those that its own experts were trained on: here its adapt (1,000) is for training, its val (500) for
adapting, and its test is divided into val (250) and test (750). Needs pyarrow.
"""

import argparse
import json
from pathlib import Path

import pyarrow.parquet as parquet

TASKS = {"clothes": "fashion-mnist", "digits": "mnist", "earth": "earth"}
# Of the suite's test.
TEST = 750


def rows_of(task, split):
    rows = parquet.read_table(next((task / "data").glob(f"{split}-*.parquet"))).to_pylist()
    return [(row["image"]["bytes"], row["label"]) for row in rows]


def write(folder, rows, names):
    for number, (image, label) in enumerate(rows):
        place = folder / names[label].replace("/", " or ")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:04d}.png").write_bytes(image)
    print(f"{folder}: {len(rows)} images")


def main():
    parser = argparse.ArgumentParser(description="Three data sets of images as folders.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--mini8", type=Path, default=Path("datasets/mini8"), help="the suite's folder in adamerge's package")
    options = parser.parse_args()
    for task in sorted((options.mini8 / "tasks").iterdir()):
        names = json.loads((task / "classes.json").read_text())
        adapt, val, test = (rows_of(task, split) for split in ("adapt", "val", "test"))
        own = [name for name, source in TASKS.items() if source == task.name]
        if not own:
            write(options.out / "pretraining" / task.name, adapt + val + test, names)
            continue
        folder = options.out / "tasks" / own[0]
        write(folder / "train", adapt, names)
        write(folder / "adapt", val, names)
        write(folder / "val", test[TEST:], names)
        write(folder / "test", test[:TEST], names)


main()
