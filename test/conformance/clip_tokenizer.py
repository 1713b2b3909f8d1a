"""CLIP's tokenizer files in the layout of openai/clip-vit-base-patch32, from the merges that OpenAI published.

The merges (bpe_simple_vocab_16e6.txt.gz, of OpenAI's CLIP, MIT licence, copyright (c) 2021 OpenAI) come with the package
open-clip-torch, which need not be imported: `pip install --no-deps open-clip-torch`.
"""

import gzip
import importlib.util
import json
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
# The file has more merges than the published vocabulary of 49408 tokens: 2 * 256 bytes, the merges, 2 ends.
MERGES = 49408 - 2 * 256 - 2
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def published_merges():
    """The merges in their order, as pairs."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None:
        raise SystemExit("open_clip: not installed; pip install --no-deps open-clip-torch")
    path = Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    return [tuple(line.split()) for line in lines[1 : 1 + MERGES]]


def byte_characters():
    """The printable character of each byte, printable bytes first: the order of the vocabulary's first tokens."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]


def vocabulary(merges):
    """Token to number: bytes, bytes that end a word, merges, the two ends."""
    single = byte_characters()
    tokens = [*single, *(token + "</w>" for token in single), *("".join(pair) for pair in merges), START, END]
    return {token: number for number, token in enumerate(tokens)}


def tokenizer_json(vocab, merges):
    special = [
        dict(id=vocab[token], content=token, single_word=False, lstrip=False, rstrip=False, normalized=normalized, special=True)
        for token, normalized in ((START, True), (END, False))
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, vocab[END]], "cls": [START, vocab[START]],
                           "trim_offsets": False, "add_prefix_space": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": END, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "</w>", "fuse_unk": False, "vocab": vocab,
                  "merges": [" ".join(pair) for pair in merges]},
    }  # fmt: skip


def write_tokenizer(folder, vocab, merges, context, single=True, old=True):
    """tokenizer.json (`single`), vocab.json and merges.txt (`old`), and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")

    if single:
        write("tokenizer.json", tokenizer_json(vocab, merges))
    if old:
        write("vocab.json", vocab)
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write("tokenizer_config.json", {
        "unk_token": END, "bos_token": START, "eos_token": END, "pad_token": END, "do_lower_case": True,
        "model_max_length": context, "tokenizer_class": "CLIPTokenizer",
    })  # fmt: skip


def used_merges(tokenizer, merges, prompts):
    """The merges that these prompts go through, in their order; with them alone the prompts have the same tokens."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    backend = tokenizer.backend_tokenizer
    used = set()
    for prompt in prompts:
        text = backend.normalizer.normalize_str(prompt)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(text):
            parts = [*word[:-1], word[-1] + "</w>"]
            while True:
                rank, place = min((ranks.get(pair, MERGES), i) for i, pair in enumerate(zip(parts, parts[1:] + [""])))
                if rank == MERGES:
                    break
                used.add(rank)
                parts[place : place + 2] = ["".join(merges[rank])]
    return [merges[rank] for rank in sorted(used)]
