"""Makes text-encoders/ and text-step/: BERT and its like with random weights, saved by `transformers`, and what they compute.

With transformers 5 everything but text-encoders/distilbert-4/, which `python make-text-encoders.py old` makes with transformers 4.
What they compute is in float64: features of texts of different lengths, padded on the right, and one AdaMerging step on a BERT with two experts, its
losses and gradients by autograd, checked here against central differences.
"""

import json
import sys

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import (
    BertConfig, BertForSequenceClassification, BertModel, DistilBertConfig, DistilBertForSequenceClassification, DistilBertModel,
    RobertaConfig, RobertaForSequenceClassification, XLMRobertaConfig, XLMRobertaModel,
)  # fmt: skip

from clip import FOLDER, entropy, merge, save_arrays

VOCABULARY = 32
TOKENS = 20
LENGTHS = (20, 3, 11, 16)
SIZES = dict(vocab_size=VOCABULARY, num_hidden_layers=2, attn_implementation="sdpa")
SMALL = dict(SIZES, hidden_size=16, num_attention_heads=2, intermediate_size=32)
CLASSES = 3
STEP_CLASSES = {"alpha": 4, "beta": 3}
STEP_SCALES = {"alpha": 10.0, "beta": 6.0}


def random_weights(model, rng):
    """Drawn anew: the library's own 0.02 leaves all texts with nearly the same feature."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            drawn = rng.standard_normal(value.shape)
            if "norm" in name.lower() and name.endswith("weight"):
                drawn = 1 + 0.1 * drawn
            elif name.endswith("bias"):
                drawn = 0.05 * drawn
            else:
                drawn = (0.5 if "word" in name else 0.25) * drawn
            value.copy_(torch.as_tensor(drawn))


def texts(rng, lengths, tokens, padding, segments):
    """Numbers of tokens [B, T] (never the padding's within a text), mask and, where there are, segments."""
    allowed = [number for number in range(VOCABULARY) if number != padding]
    ids = np.full((len(lengths), tokens), padding, np.int32)
    mask = np.zeros((len(lengths), tokens), np.uint8)
    types = np.zeros((len(lengths), tokens), np.uint8)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.choice(allowed, length)
        mask[row, :length] = 1
        types[row, length // 2 : length] = 1
    return {"input_ids": ids, "attention_mask": mask, **({"token_type_ids": types} if segments else {})}


def tensors(inputs):
    return {name: torch.from_numpy(value.astype(np.int64)) for name, value in inputs.items()}


def mean_of(hidden, mask):
    mask = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def save(model, folder):
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)


def make(name, model, rng, padding=0, segments=False):
    folder = FOLDER / "text-encoders" / name
    model = model.eval()
    random_weights(model, rng)
    save(model, folder)
    inputs = texts(rng, LENGTHS, TOKENS, padding, segments)
    model = model.double()
    with torch.no_grad():
        output = getattr(model, model.base_model_prefix, model)(**tensors(inputs))
        arrays = {"hidden": output.last_hidden_state.float(), "cls": output.last_hidden_state[:, 0]}
        arrays["mean"] = mean_of(output.last_hidden_state, torch.from_numpy(inputs["attention_mask"]))
        if getattr(output, "pooler_output", None) is not None:
            arrays["pooler"] = output.pooler_output
        if hasattr(model, "classifier"):
            arrays["logits"] = model(**tensors(inputs)).logits
    for key in [key for key in ("cls", "mean", "pooler") if key in arrays]:
        arrays[f"{key}_normalized"] = torch.nn.functional.normalize(arrays[key], dim=-1)
    save_arrays(folder / "fixture.safetensors", **inputs, **arrays)
    return folder


def old_names(folder):
    """The names of the first BERT files: `gamma` and `beta`, and the numbers of positions beside."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
    }
    renamed["bert.embeddings.position_ids"] = np.arange(TOKENS, dtype=np.int64)[None]
    save_file(renamed, path, metadata={"format": "pt"})
    path.chmod(0o644)


def make_encoders():
    rng = np.random.default_rng(23)
    bert = dict(SIZES, hidden_size=32, num_attention_heads=4, intermediate_size=48, max_position_embeddings=TOKENS)
    make("bert", BertModel(BertConfig(**bert)), rng, segments=True)
    small = dict(SMALL, max_position_embeddings=TOKENS, num_labels=CLASSES, hidden_act="gelu_new")
    old_names(make("bert-classifier", BertForSequenceClassification(BertConfig(**small)), rng, segments=True))
    # RoBERTa's positions begin behind its padding token.
    roberta = dict(SMALL, max_position_embeddings=TOKENS + 2, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
    classifier = RobertaForSequenceClassification(RobertaConfig(**roberta, num_labels=CLASSES, hidden_act="relu"))
    make("roberta-classifier", classifier, rng, padding=1)
    make("xlm-roberta", XLMRobertaModel(XLMRobertaConfig(**roberta)), rng, padding=1)
    make("distilbert", DistilBertModel(distilbert()), rng)


def distilbert(**more):
    sizes = dict(dim=16, n_heads=2, n_layers=2, hidden_dim=32, attn_implementation="sdpa", sinusoidal_pos_embds=True)
    return DistilBertConfig(vocab_size=VOCABULARY, max_position_embeddings=TOKENS, **sizes, **more)


def losses_at(lambda_nk, base, tau, model, heads, batches):
    """Mean entropy per task of the merged encoder's features, mean over the tokens and normalised: [tasks]."""
    merged = merge(base, tau, lambda_nk)
    losses = []
    for (weight, scale), batch in zip(heads, batches):
        hidden = torch.func.functional_call(model, merged, kwargs=batch).last_hidden_state
        features = torch.nn.functional.normalize(mean_of(hidden, batch["attention_mask"]), dim=-1)
        losses.append(entropy(scale * features @ weight.T))
    return torch.stack(losses)


def make_step():
    rng = np.random.default_rng(24)
    folder = FOLDER / "text-step"
    config = BertConfig(**SMALL, max_position_embeddings=TOKENS)
    model = BertModel(config, add_pooling_layer=False).eval()
    random_weights(model, rng)
    save(model, folder / "base")
    base32 = load_file(folder / "base/model.safetensors")
    # The order of the forward pass.
    names = [name for name, _ in model.named_parameters()]
    experts32 = []
    for k in range(len(STEP_CLASSES)):
        expert = {n: (base32[n] + 0.15 * rng.standard_normal(base32[n].shape)).astype(np.float32) for n in names}
        (folder / f"experts/{k}").mkdir(parents=True, exist_ok=True)
        save_file(expert, folder / f"experts/{k}/model.safetensors", metadata={"format": "pt"})
        (folder / f"experts/{k}/model.safetensors").chmod(0o644)
        config.save_pretrained(folder / f"experts/{k}")
        experts32.append(expert)
    base = {name: torch.from_numpy(base32[name]).double() for name in names}
    tau = {name: torch.from_numpy(np.stack([e[name] - base32[name] for e in experts32])).double() for name in names}
    arrays, heads, batches = {}, [], []
    for task, classes in STEP_CLASSES.items():
        weight = rng.standard_normal((classes, SMALL["hidden_size"]))
        weight = (weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32)
        arrays[f"{task}.weight"] = weight
        heads.append((torch.from_numpy(weight).double(), STEP_SCALES[task]))
        inputs = texts(rng, LENGTHS, TOKENS, 0, True)
        arrays.update({f"{task}.{name}": value for name, value in inputs.items()})
        batches.append(tensors(inputs))
    at = 0.3 + 0.1 * rng.standard_normal((len(names), len(STEP_CLASSES)))
    problem = (base, tau, model.double(), heads, batches)
    parameters = torch.tensor(at, requires_grad=True)
    losses = losses_at(parameters, *problem)
    losses.sum().backward()
    worst = np.abs(central_difference(at, problem) - parameters.grad.numpy()).max()
    assert worst < 1e-8, f"autograd and central differences disagree by {worst}"
    print(f"losses {losses.detach().numpy()}, largest gradient {parameters.grad.abs().max():.3f}, of words {parameters.grad[0].numpy()}")
    arrays.update({"lambda": at, "losses": losses, "gradient": parameters.grad})
    save_arrays(folder / "fixture.safetensors", **arrays)
    description = {"tasks": list(STEP_CLASSES), "scales": list(STEP_SCALES.values()), "tensors": names}
    (folder / "fixture.json").write_text(json.dumps(description, indent=1) + "\n")


def central_difference(lambda_nk, problem, step=1e-5):
    result = np.zeros_like(lambda_nk)
    for index in np.ndindex(*lambda_nk.shape):
        sides = []
        for sign in (1, -1):
            moved = lambda_nk.copy()
            moved[index] += sign * step
            with torch.no_grad():
                sides.append(losses_at(torch.from_numpy(moved), *problem).sum().item())
        result[index] = (sides[0] - sides[1]) / (2 * step)
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["old"]:
        make("distilbert-4", DistilBertForSequenceClassification(distilbert(num_labels=CLASSES)), np.random.default_rng(25))
    else:
        make_encoders()
        make_step()
