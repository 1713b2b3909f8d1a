"""Makes clip/ and clip-text/, tiny CLIP models with random weights, what `transformers` computes with them, and clip-tokenizer/, the part of
CLIP's own tokenizer that some prompts need, with their tokens. Needs open-clip-torch for the merges (see clip_tokenizer.py)."""

import json

import numpy as np
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from clip import FOLDER, normalise, preprocessor, random_weights, save_arrays, smooth_images
from clip_tokenizer import END, START, published_merges, used_merges, vocabulary, write_tokenizer

CONTEXT = 16
TEXT = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=CONTEXT, projection_dim=16, hidden_act="quick_gelu",
)  # fmt: skip
VISION = dict(
    hidden_size=48, num_hidden_layers=1, num_attention_heads=3, intermediate_size=64,
    patch_size=8, image_size=32, projection_dim=16, hidden_act="quick_gelu",
)  # fmt: skip
# A text tower by itself, whose prompts end at another token than the largest.
ALONE = dict(
    hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48, vocab_size=40,
    max_position_embeddings=12, projection_dim=8, hidden_act="gelu", eos_token_id=7,
)  # fmt: skip

TASKS = {
    "digits": dict(
        templates=['a photo of the number: "{}".'],
        classes=[str(digit) for digit in range(10)],
    ),
    "land": dict(
        templates=["a centered satellite photo of {}.", "a satellite photo of a {}.", "{}"],
        classes=["forest", "river", "sealake"],
        names=["forest", "river", "lake or sea"],
    ),
    "long": dict(
        templates=["a zoomed in photo of a \"{}\" traffic sign, and of many other things besides it."],
        classes=["stop", "yield"],
    ),
}  # fmt: skip

# What text cleaning and the cutting of words may get wrong.
PROMPTS = [
    "", " ", "a photo of a cat.", "A Photo of a CAT.", "a  photo\tof\na   cat .", "a photo of a cat\u00a0or\u2003dog\u0085or\u3000bird",
    "zero\u200bwidth \ufeffmark", "!\ufeff\ufeff. a\u0085!", "café", "cafe\u0301", "CAFÉ au lait", "naïve façade", "Å \u212b A\u030a", "STRASSE Straße",
    "ΟΔΟΣ ΣΟΦΟΣ Σ", "İstanbul", "ﬁ ligature ½ ²", "2012 BMW 3-Series Wagon", "Ram C/V Cargo Van Minivan 2012", "127 3.14 1,000,000",
    "it's", "IT'S", "don't they'll we've I'm you're she'd", "rock'n'roll", "'s's''s", "!!!???...", "a-b_c/d\\e|f", "(hello) [world] {braces}",
    "<|endoftext|> in the middle", "<|startoftext|>", "<|STARTOFTEXT|> upper", "a <|endoftext|>b", "< | endoftext | >", "e-mail@example.org #tag 100%",
    "東京タワー", "Привет, мир", "שלום", "नमस्ते", "สวัสดี", "🐱 a cat 👍🏽 👨‍👩‍👧", "x\u0301\u0302", "\u1e9b\u0323", "lake or sea",
    "a centered satellite photo of annual crop land.", "Egyptian cat, tabby; tiger-cat", "red and white circle no truck entry", "a photo of the texture: crosshatched",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "aaaaaaaaaaaaaaaaaaaaaaaa", "a photo of " + "very " * 100 + "long", "1" * 200, "the end" + " of" * 74,
]  # fmt: skip


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def prompts_of(task):
    names = task.get("names", task["classes"])
    return [template.replace("{}", name) for name in names for template in task["templates"]]


def make_tokenizer():
    folder = FOLDER / "clip-tokenizer"
    merges = published_merges()
    vocab = vocabulary(merges)
    whole = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)
    kept = used_merges(whole, merges, PROMPTS)
    tokens = {"".join(pair) for pair in kept} | set(list(vocab)[:512]) | {START, END}
    write_tokenizer(folder, {t: n for t, n in vocab.items() if t in tokens}, kept, 77, single=False)
    # JSON cannot say which of two equal keys it means, so that prompts and tokens go in pairs.
    golden = [[prompt, whole(prompt, truncation=True, max_length=77)["input_ids"]] for prompt in PROMPTS]
    pruned = CLIPTokenizer.from_pretrained(folder)
    assert golden == [[p, pruned(p, truncation=True, max_length=77)["input_ids"]] for p in PROMPTS], "the pruned tokenizer differs"
    (folder / "golden.json").write_text("[\n" + ",\n".join(json.dumps(pair) for pair in golden) + "\n]\n")
    print(f"clip-tokenizer: {len(kept)} of {len(merges)} merges, {len(golden)} prompts")


def make_clip():
    folder = FOLDER / "clip"
    rng = np.random.default_rng(20)
    prompts = [prompt for task in TASKS.values() for prompt in prompts_of(task)]
    merges = published_merges()
    kept = used_merges(CLIPTokenizer(vocab=vocabulary(merges), merges=merges), merges, prompts)
    vocab = vocabulary(kept)
    write_tokenizer(folder, vocab, kept, CONTEXT, old=False)
    config = CLIPConfig(
        text_config=dict(TEXT, vocab_size=len(vocab), bos_token_id=vocab[START], eos_token_id=vocab[END], pad_token_id=vocab[END]),
        vision_config=VISION, projection_dim=16, attn_implementation="sdpa",
    )  # fmt: skip
    model = CLIPModel(config).eval()
    random_weights(model, rng)
    with torch.no_grad():
        model.logit_scale.copy_(torch.tensor(3.0))
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    write_json(folder / "preprocessor_config.json", preprocessor(VISION["image_size"]))
    pixels = smooth_images(rng, 3, VISION["image_size"])
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    double = model.double()

    def forward(texts):
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt")
        with torch.no_grad():
            return tokens, double(**tokens, pixel_values=normalise(pixels, torch.float64))

    tokens, out = forward(prompts)
    # The config of releases before transformers 4.31 has another number for the end.
    model.text_model.eos_token_id = 2
    assert torch.equal(out.text_embeds, forward(prompts)[1].text_embeds), "the old end token is another"
    heads = {}
    for name, task in TASKS.items():
        classes = len(task["classes"])
        means = forward(prompts_of(task))[1].text_embeds.view(classes, len(task["templates"]), -1).mean(1)
        heads[f"head.{name}"] = means / means.norm(dim=-1, keepdim=True)
    lengths = tokens["attention_mask"].sum(1)
    ids = [row[:length].tolist() for row, length in zip(tokens["input_ids"], lengths)]
    write_json(folder / "fixture.json", {"tasks": TASKS, "prompts": prompts, "tokens": ids})
    save_arrays(
        folder / "fixture.safetensors", pixels=pixels, image_features=out.image_embeds, text_features=out.text_embeds,
        logits=out.logits_per_image, **heads,
    )  # fmt: skip
    cosines = (out.text_embeds @ out.text_embeds.T)[~torch.eye(len(prompts), dtype=bool)]
    print(f"clip: {len(vocab)} tokens, prompts of {lengths.min()} to {lengths.max()}, cosines between texts {cosines.min():.2f} to {cosines.max():.2f}")


def make_text():
    folder = FOLDER / "clip-text"
    rng = np.random.default_rng(21)
    model = CLIPTextModelWithProjection(CLIPTextConfig(**ALONE, attn_implementation="sdpa")).eval()
    random_weights(model, rng)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    ids = rng.integers(8, ALONE["vocab_size"], (5, 9))
    for row, end in enumerate((3, 5, 8, 1, 4)):
        ids[row, end] = ALONE["eos_token_id"]
    ids[3, 6] = ALONE["eos_token_id"]

    def features():
        with torch.no_grad():
            embeds = model.double()(input_ids=torch.from_numpy(ids)).text_embeds
        return embeds / embeds.norm(dim=-1, keepdim=True)

    at_first_end = features()
    model.text_model.eos_token_id = 2
    save_arrays(folder / "fixture.safetensors", ids=ids.astype(np.int32), features=at_first_end, features_legacy=features())


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_tokenizer()
    make_clip()
    make_text()
