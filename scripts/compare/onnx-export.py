"""Python's sides of `npm run compare -- onnx`: models as transformers saves them, exported files in ONNX Runtime, and
the same inputs in transformers.

    onnx-export.py make FOLDER                       clip/, vit/ and bert/ of 12 layers, 384 wide, random weights
    onnx-export.py runtime MODEL.onnx CASES OUT      outputs of an exported file, by onnxruntime and numpy alone
    onnx-export.py transformers MODEL CASES OUT META features of the model's folder; META is the file's own metadata

CASES and OUT are safetensors with tensors called `case/name`: images as levels U8 [N, H, W, 3], texts as I64 [N, L].
What is done to images, and what of a model's output its features are, comes from the exported file alone.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

THREADS = 1
WORDS = 30522


def make(folder):
    import torch
    import transformers as t

    def saved(name, model, *others):
        for one in (model.eval(), *others):
            one.save_pretrained(folder / name)

    torch.manual_seed(3)
    size = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
    saved("clip", t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**size)), t.CLIPImageProcessor())
    saved("vit", t.ViTModel(t.ViTConfig(**size, patch_size=32)), t.ViTImageProcessor())
    saved("bert", t.BertModel(t.BertConfig(**size, vocab_size=WORDS)), tokenizer(t))


def tokenizer(t):
    """Of as many words as the model has; the texts of the comparison come as numbers."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: at for at, word in enumerate([*special, *(f"w{at}" for at in range(WORDS - len(special)))])}
    own = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer()
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    own.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], special))
    return t.PreTrainedTokenizerFast(tokenizer_object=own, **names)


def grouped(path):
    cases = {}
    for name, values in load_file(path).items():
        case, _, inner = name.partition("/")
        cases.setdefault(case, {})[inner] = values
    return cases


def prepared(inputs, metadata):
    """Levels of images to what every program gives the model; texts as they are."""
    if "images" not in inputs:
        return inputs
    how = json.loads(metadata["preprocessing"])
    levels = inputs["images"].astype(np.float64) * how["rescale_factor"]
    pixels = (levels - np.array(how["image_mean"])) / np.array(how["image_std"])
    return {"pixel_values": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).astype(np.float32))}


def runtime(model, cases, out):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    names = [output.name for output in session.get_outputs()]
    found = {}
    for case, inputs in grouped(cases).items():
        for name, values in zip(names, session.run(names, prepared(inputs, metadata))):
            found[f"{case}/{name}"] = values
    save_file(found, out)
    Path(out).with_suffix(".json").write_text(json.dumps({"metadata": metadata, "onnxruntime": ort.__version__}))


def transformers(model, cases, out, described):
    import onnx
    import torch
    import transformers as t

    torch.set_num_threads(THREADS)
    metadata = json.loads(Path(described).read_text())["metadata"]
    onnx.checker.check_model(str(Path(described).with_suffix(".onnx")), full_check=True)
    kind = t.CLIPVisionModelWithProjection if metadata["family"] == "clip" else t.AutoModel
    tower = kind.from_pretrained(model, attn_implementation="sdpa").eval()
    found = {}
    with torch.no_grad():
        for case, inputs in grouped(cases).items():
            given = {name: torch.from_numpy(values) for name, values in prepared(inputs, metadata).items()}
            output = tower(**given)
            features = pooled(output, tower.config, given, json.loads(metadata["features"]))
            # A view of a larger array would be written as the beginning of that.
            found[f"{case}/features"] = np.ascontiguousarray(features.numpy())
    save_file(found, out)


def pooled(output, config, given, features):
    pooling = features["pooling"]
    values = one(pooling, output, config, given)
    return torch_normalized(values) if features["normalized"] else values


def torch_normalized(values):
    return values / values.norm(dim=-1, keepdim=True)


def one(pooling, output, config, given):
    if pooling == "projection":
        return output.image_embeds
    if pooling == "pooler":
        return output.pooler_output
    hidden = output.last_hidden_state
    if pooling == "cls":
        return hidden[:, 0]
    if pooling != "mean":
        raise SystemExit(f"no comparison of features {pooling}")
    if "attention_mask" in given:
        mask = given["attention_mask"].float()[:, :, None]
        return (hidden * mask).sum(1) / mask.sum(1)
    return hidden[:, 1 + (config.model_type == "deit") + getattr(config, "num_register_tokens", 0) :].mean(1)


if __name__ == "__main__":
    {"make": lambda folder: make(Path(folder)), "runtime": runtime, "transformers": transformers}[sys.argv[1]](*sys.argv[2:])
