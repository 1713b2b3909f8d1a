"""The Python side of `npm run compare -- predictions`: what a merged model and its heads say, by transformers and safetensors alone.

predictions.py FOLDER reads FOLDER/request.json (the model's folder, parquet files and how many examples of each), writes
the examples as files into FOLDER/examples and, into FOLDER/predictions.json, by reader, example and task the likeliest
label with its probability. Readers of the features are transformers and, for a model with modules.json,
sentence-transformers too. Heads are `heads/<task>.safetensors`, read as their format says.
"""

import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPVisionModelWithProjection

BATCH = 64


def read_head(path):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        notes = file.metadata()
    classes, features = json.loads(notes["classes"]), json.loads(notes["features"])
    return tensors, classes, features, int(notes.get("max_length", 0)), notes.get("hidden_activation")


def logits_of(features, tensors, activation):
    if "hidden.weight" in tensors:
        features = getattr(torch, activation)(features @ tensors["hidden.weight"].T + tensors["hidden.bias"])
    return tensors["logit_scale"] * features @ tensors["weight"].T + tensors["bias"]


def image_features(folder, choice):
    if choice["pooling"] != "projection":
        raise SystemExit(f"image features of pooling {choice['pooling']} are not read here")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()
    return lambda images: model(**processor(images, return_tensors="pt")).image_embeds


def text_features(folder, choice, max_length):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pools = choice["pooling"] == "pooler"
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=pools).eval()
    limit = {"max_length": max_length} if max_length else {}

    def features(texts):
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt", **limit)
        out = model(**tokens)
        if pools:
            return out.pooler_output
        if choice["pooling"] == "cls":
            return out.last_hidden_state[:, 0]
        mask = tokens["attention_mask"].unsqueeze(-1).to(torch.float32)
        return (out.last_hidden_state * mask).sum(1) / mask.sum(1)

    return features


def sentence_features(folder, max_length):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    if max_length:
        model.max_seq_length = max_length
    return lambda texts: model.encode(texts, convert_to_tensor=True, batch_size=BATCH, show_progress_bar=False)


@torch.inference_mode()
def predict(features_of, normalized, examples, heads):
    found = []
    for first in range(0, len(examples), BATCH):
        features = features_of(examples[first : first + BATCH])
        if normalized:
            features = F.normalize(features, dim=-1)
        rows = [{} for _ in range(len(features))]
        for task, (tensors, classes, _, _, activation) in heads.items():
            top = logits_of(features, tensors, activation).double().softmax(-1).max(-1)
            for row, probability, index in zip(rows, top.values.tolist(), top.indices.tolist(), strict=True):
                row[task] = {"label": classes[index], "probability": probability}
        found += rows
    return found


def main():
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    model = Path(request["model"])
    heads = {path.stem: read_head(path) for path in sorted((model / "heads").glob("*.safetensors"))}
    _, _, choice, max_length, _ = next(iter(heads.values()))
    tables = [parquet.read_table(path).slice(0, request["of_each"]) for path in request["examples"]]
    are_texts = "text" in tables[0].column_names
    place = folder / "examples"
    place.mkdir()
    if are_texts:
        examples = [text for table in tables for text in table["text"].to_pylist()]
        (place / "examples.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in examples))
        readers = {"transformers": text_features(model, choice, max_length)}
        if (model / "modules.json").exists():
            readers["sentence-transformers"] = sentence_features(model, max_length)
    else:
        stored = [image["bytes"] for table in tables for image in table["image"].to_pylist()]
        for index, content in enumerate(stored):
            (place / f"{index:05d}.png").write_bytes(content)
        examples = [Image.open(io.BytesIO(content)).convert("RGB") for content in stored]
        readers = {"transformers": image_features(model, choice)}
    found = {name: predict(features, choice["normalized"], examples, heads) for name, features in readers.items()}
    (folder / "predictions.json").write_text(json.dumps(found))


main()
