"""Checks what our reader accepted against the safetensors library: names, dtypes, shapes, bytes, and values as float32.

Usage: reference.py FOLDER. FOLDER/accepted.jsonl has one line per case, {"path": ..., "tensors": {name: [bytes, values]}} with
sha256 in hex; FOLDER/refused.jsonl has {"path": ..., "rule": ...}. Prints one JSON object. Needs torch and safetensors.
"""
import hashlib
import json
import pathlib
import sys

import safetensors
import torch

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def digests(path):
    """Name to [sha256 of dtype, shape and bytes, sha256 of float32 values] of one file."""
    found = {}
    for name, tensor in safetensors.deserialize(path.read_bytes()):
        dtype, shape, data = tensor["dtype"], tensor["shape"], bytes(tensor["data"])
        head = f"{dtype} {','.join(map(str, shape))}\n".encode()
        values = ""
        if dtype in DTYPES:
            flat = torch.frombuffer(bytearray(data), dtype=DTYPES[dtype]) if data else torch.empty(0)
            wide = flat.to(torch.float32).nan_to_num(nan=float("nan"), posinf=float("inf"), neginf=float("-inf"))
            wide[wide.isnan()] = float("nan")
            values = hashlib.sha256(wide.numpy().tobytes()).hexdigest()
        found[name] = [hashlib.sha256(head + data).hexdigest(), values]
    return found


def files_of(path):
    """The file itself, or in a checkpoint folder the model or the shards of its index."""
    if not path.is_dir():
        return [path]
    single = path / "model.safetensors"
    if single.exists():
        return [single]
    index = json.loads((path / "model.safetensors.index.json").read_text())
    return [path / name for name in sorted(set(index["weight_map"].values()))]


def lines(folder, name):
    file = folder / name
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main():
    folder = pathlib.Path(sys.argv[1])
    accepted, refused = lines(folder, "accepted.jsonl"), lines(folder, "refused.jsonl")
    disagreements, stricter, tensors = [], {}, 0
    for case in accepted:
        try:
            found = {}
            for file in files_of(folder / case["path"]):
                found.update(digests(file))
            tensors += len(found)
            if found != case["tensors"]:
                disagreements.append(f"{case['path']}: other tensors")
        except Exception as error:
            disagreements.append(f"{case['path']}: refused by the library: {error}")
    for case in refused:
        try:
            digests(folder / case["path"])
            stricter[case["rule"]] = stricter.get(case["rule"], 0) + 1
        except Exception:
            pass
    print(
        json.dumps(
            {
                "library": f"safetensors {safetensors.__version__}",
                "acceptedChecked": len(accepted),
                "tensorsCompared": tensors,
                "disagreements": disagreements,
                "refusedChecked": len(refused),
                "refusedByUsAlone": stricter,
            }
        )
    )


main()
