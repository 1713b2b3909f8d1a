"""A merged model and its heads as MLflow loads and serves them; a copy lies in `code/` of every model that adamerge delivers.

It needs torch, transformers, safetensors, pandas and, for images, Pillow. Labels and probabilities are those of `adamerge predict`. What a head is:
docs/heads.md. Features of each family as in transformers: models/{clip,vit,deit,dinov2,dinov2_with_registers,bert,roberta,distilbert}.
B examples of a batch, T tokens, D width.
"""

import io
import json
from base64 import b64decode
from pathlib import Path

import pandas
import torch
import torch.nn.functional as F
import transformers
from safetensors import safe_open

BATCH = 32
# Tokens in front of the patches: the class token, and what else a model has.
FRONT = {"vit": lambda config: 1, "deit": lambda config: 2, "dinov2": lambda config: 1}
FRONT["dinov2_with_registers"] = lambda config: 1 + config.num_register_tokens
CLIP = ("clip", "clip_vision_model")
# Positions that texts have: RoBERTa's begin behind the one of padding.
POSITIONS = {"bert": lambda config: config.max_position_embeddings}
POSITIONS["distilbert"] = POSITIONS["bert"]
for name in ("roberta", "xlm-roberta", "camembert"):
    POSITIONS[name] = lambda config: config.max_position_embeddings - config.pad_token_id - 1
HAVE_POOLER = ("vit", "deit", "bert", "roberta", "xlm-roberta", "camembert")


def _load_pyfunc(path):
    return MergedModel(path)


class MergedModel:
    """`predict` gives a row for each example, with a label and its probability for each task."""

    def __init__(self, folder):
        folder = Path(folder)
        self.heads = {path.stem: Head(path) for path in sorted((folder / "heads").glob("*.safetensors"))}
        if not self.heads:
            raise ValueError(f"{folder}: expected heads (heads/<task>.safetensors), found none")
        self.features = _features_of(folder, next(iter(self.heads.values())))

    @torch.inference_mode()
    def predict(self, data, params=None):
        """data: a table with a column `image` (bytes of a file) or `text` (and `text_pair`), or a list of such values. params: {"task": NAME}."""
        heads = self._chosen((params or {}).get("task") or "")
        examples = self.features.examples(data)
        rows = []
        for first in range(0, len(examples), BATCH):
            features = self.features(examples[first : first + BATCH])
            columns = {}
            for task, head in heads.items():
                columns[task], columns[f"{task}_probability"] = head.predict(features)
            rows.append(pandas.DataFrame(columns))
        names = [name for task in heads for name in (task, f"{task}_probability")]
        return pandas.concat(rows, ignore_index=True) if rows else pandas.DataFrame(columns=names)

    def _chosen(self, task):
        if task == "":
            return self.heads
        if task not in self.heads:
            raise ValueError(f"task: expected one of {', '.join(self.heads)}, found {task}")
        return {task: self.heads[task]}


class Head:
    def __init__(self, path):
        with safe_open(path, framework="pt") as file:
            self.tensors = {name: file.get_tensor(name).float() for name in file.keys()}
            notes = file.metadata() or {}
        if "features" not in notes or "logit_scale" not in self.tensors:
            raise ValueError(f"{path}: expected a head that says what it reads, as adamerge saves it with a model")
        choice = json.loads(notes["features"])
        self.pooling, self.normalized = choice["pooling"], choice["normalized"]
        self.max_length = int(notes["max_length"]) if "max_length" in notes else None
        self.activation = notes.get("hidden_activation")
        count = len(self.tensors["weight"])
        self.classes = json.loads(notes["classes"]) if "classes" in notes else [str(row) for row in range(count)]

    def logits(self, features):
        named = self.tensors
        if "hidden.weight" in named:
            hidden = F.linear(features, named["hidden.weight"], named.get("hidden.bias"))
            features = getattr(torch, self.activation)(hidden)
        return named["logit_scale"] * F.linear(features, named["weight"]) + named.get("bias", 0.0)

    def predict(self, features):
        likely = self.logits(features).double().softmax(-1).max(-1)
        return [self.classes[row] for row in likely.indices.tolist()], likely.values.tolist()


def _features_of(folder, head):
    model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if model_type in CLIP or model_type in FRONT:
        return ImageFeatures(folder, model_type, head)
    if model_type in POSITIONS:
        return TextFeatures(folder, model_type, head)
    raise ValueError(f"{folder / 'config.json'}: expected a model_type that is served here, found {model_type}")


def _load(auto, folder, model_type, pooling):
    # A pooler that nothing reads may not be in the file.
    pooler = {"add_pooling_layer": pooling == "pooler"} if model_type in HAVE_POOLER else {}
    return auto.from_pretrained(folder, **pooler).float().eval()


class ImageFeatures:
    def __init__(self, folder, model_type, head):
        self.pooling, self.normalized = head.pooling, head.normalized
        # Pillow resizes as the model's own preprocessing does; torchvision differs.
        own = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
        self.processor = transformers.AutoImageProcessor.from_pretrained(folder, **own)
        auto = transformers.CLIPVisionModelWithProjection if model_type in CLIP else transformers.AutoModel
        self.model = _load(auto, folder, model_type, self.pooling)
        self.front = FRONT[model_type](self.model.config) if model_type in FRONT else 1

    def examples(self, data):
        return list(data["image"]) if isinstance(data, (pandas.DataFrame, dict)) else list(data)

    def __call__(self, images):
        out = self.model(**self.processor([_image(each) for each in images], return_tensors="pt"))
        features = self._pooled(out)
        return F.normalize(features, dim=-1) if self.normalized else features

    def _pooled(self, out):
        if self.pooling == "projection":
            return out.image_embeds
        if self.pooling == "pooler":
            return out.pooler_output
        first, patches = out.last_hidden_state[:, 0], out.last_hidden_state[:, self.front :].mean(1)
        return {"cls": first, "mean": patches, "cls_mean": torch.cat([first, patches], -1)}[self.pooling]


def _image(given):
    """Bytes of a file (or their base64), a path, or a Pillow image; turned as its EXIF data say."""
    from PIL import Image, ImageOps

    if isinstance(given, (bytes, bytearray)):
        given = Image.open(io.BytesIO(given))
    elif isinstance(given, (str, Path)):
        is_file = len(str(given)) < 4096 and Path(given).is_file()
        given = Image.open(given if is_file else io.BytesIO(b64decode(given, validate=True)))
    return ImageOps.exif_transpose(given).convert("RGB")


class TextFeatures:
    def __init__(self, folder, model_type, head):
        self.pooling, self.normalized = head.pooling, head.normalized
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = _load(transformers.AutoModel, folder, model_type, self.pooling)
        limits = [self.tokenizer.model_max_length, POSITIONS[model_type](self.model.config), head.max_length]
        self.longest = min(limit for limit in limits if limit is not None)

    def examples(self, data):
        if not isinstance(data, (pandas.DataFrame, dict)):
            return [(text, None) for text in data]
        texts = list(data["text"])
        others = list(data["text_pair"]) if "text_pair" in data else [None] * len(texts)
        return [(text, other if isinstance(other, str) else None) for text, other in zip(texts, others, strict=True)]

    def __call__(self, pairs):
        # Padded together, single texts and pairs would be read as the same.
        rows = [None] * len(pairs)
        for has_pair in (False, True):
            places = [place for place, (_, other) in enumerate(pairs) if (other is not None) == has_pair]
            if places:
                texts = [pairs[place][0] for place in places]
                others = [pairs[place][1] for place in places] if has_pair else None
                for place, row in zip(places, self._features(texts, others), strict=True):
                    rows[place] = row
        return torch.stack(rows)

    def _features(self, texts, others):
        tokens = self.tokenizer(
            texts, others, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        features = self._pooled(self.model(**tokens), tokens["attention_mask"])
        return F.normalize(features, dim=-1) if self.normalized else features

    def _pooled(self, out, mask):
        if self.pooling == "pooler":
            return out.pooler_output
        if self.pooling == "cls":
            return out.last_hidden_state[:, 0]
        weights = mask.unsqueeze(-1).to(torch.float32)
        return (out.last_hidden_state * weights).sum(1) / weights.sum(1)
