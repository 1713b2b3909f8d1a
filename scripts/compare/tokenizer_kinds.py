"""Tokenizer folders of every kind, awkward texts, and what transformers makes of them: for `compare tokenizers` and the fixture of its tests.

    python tokenizer_kinds.py make FOLDER BERT TEXTS SEED   # BERT: a folder with a real WordPiece tokenizer, or - for a small one
"""

import json
import random
import shutil
import sys
from pathlib import Path

import sentencepiece
from awkward_texts import corpus, texts
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"


def write(folder, tokenizer, config):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)
    (folder / CONFIG).write_text(json.dumps(config))


def wordpiece(folder, size):
    """BERT's, cased or not, as transformers converts it; also vocab.txt alone."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    write(folder, tokenizer, {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, "model_max_length": 512})
    vocab = sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocab))


def vocabulary_alone(folder, source, config):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "vocab.txt", folder)
    (folder / CONFIG).write_text(json.dumps({"tokenizer_class": "BertTokenizer", **config}))


def byte_level(folder, size):
    """RoBERTa's: byte-level BPE; tokenizer.json, and beside it vocab.json with merges.txt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    ends = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    mask = {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}}
    write(folder, tokenizer, {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False, "model_max_length": 512, **ends, **mask})


def plain_bpe(folder, size):
    """BPE on characters with words' ends marked, unknown ones fused, behind normalizers and splits of several kinds."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.Split(Regex("[aeiou]{3}"), "merged_with_previous"), pre_tokenizers.Split("th", "merged_with_next"),
    ])  # fmt: skip
    special = ["<unk>", "<pad>", "<s>", "</s>"]
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, limit_alphabet=200, end_of_word_suffix="</w>", show_progress=False))  # fmt: skip
    # One that is looked for after normalising, and one that is a word of its own.
    tokenizer.add_tokens([AddedToken("Don't", normalized=True), AddedToken("we", single_word=True, normalized=False, rstrip=True)])
    tokenizer.post_processor = processors.BertProcessing(("</s>", 3), ("<s>", 2))
    write(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"})


def unigram(folder, size, rules):
    """XLM-R's: sentencepiece's Unigram with its map of characters. `rules`: the name of sentencepiece's, or a TSV file of a few."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {"normalization_rule_tsv": rules} if rules.endswith(".tsv") else {"normalization_rule_name": rules}
    model = folder / "spm"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=str(model), vocab_size=size, model_type="unigram", character_coverage=0.995,
        unk_id=0, bos_id=1, eos_id=2, hard_vocab_limit=False, minloglevel=2, num_threads=1, **named,
    )  # fmt: skip
    proto = sentencepiece_model_pb2.ModelProto.FromString(Path(f"{model}.model").read_bytes())
    for made in folder.glob("spm.*"):
        made.unlink()
    # Source: transformers, convert_slow_tokenizer.py, XLMRobertaConverter: <s>, <pad>, </s>, <unk>, pieces, <mask>.
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab += [(piece.piece, piece.score) for piece in proto.pieces[3:]] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " "),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    write(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})


def metaspace_first(folder, source):
    """The same Unigram behind the pre-tokenizer of newer files: a blank before the first word alone, the end stripped."""
    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    precompiled = tokenizer.normalizer[0]
    tokenizer.normalizer = normalizers.Sequence([precompiled, normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    write(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})


def tokens(folder, made, seed):
    """Of all texts; of pairs of neighbours; of both cut to few tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(seed)
    segments = lambda found: found["token_type_ids"][0] if "token_type_ids" in found else None
    whole = tokenizer(made, return_token_type_ids=True)
    pairs = []
    for index in range(0, len(made) - 1, 2):
        most = rng.choice([None, 8, 13, 16, 32])
        # As one of a batch: alone, an empty second text counts as none.
        pair = None if rng.randrange(3) == 0 else [made[index + 1]]
        options = {} if most is None else {"truncation": "longest_first", "max_length": most}
        found = tokenizer([made[index]], pair, return_token_type_ids=True, verbose=False, **options)
        pairs.append({"first": index, "pair": pair is not None, "most": most, "ids": found["input_ids"][0], "segments": segments(found)})
    return {"ids": whole["input_ids"], "pairs": pairs}


def make(folder, bert, made, seed, sizes, rules):
    if bert is None:
        wordpiece(folder / "wordpiece", sizes)
        bert = folder / "wordpiece"
    else:
        (folder / "wordpiece").mkdir(parents=True)
        for name in (TOKENIZER, CONFIG, "vocab.txt"):
            shutil.copy(bert / name, folder / "wordpiece")
    vocabulary_alone(folder / "wordpiece-vocab", bert, {"do_lower_case": True})
    vocabulary_alone(folder / "wordpiece-cased", bert, {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False})
    byte_level(folder / "byte-level", sizes)
    plain_bpe(folder / "bpe", sizes)
    unigram(folder / "unigram", sizes, rules)
    metaspace_first(folder / "unigram-first", folder / "unigram")
    (folder / "texts.json").write_text(json.dumps(made))
    for kind in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        (folder / kind / "expected.json").write_text(json.dumps(tokens(folder / kind, made, seed)))


if __name__ == "__main__":
    _, _, target, real, number, start = sys.argv
    make(Path(target), None if real == "-" else Path(real), texts(int(number), int(start)), int(start), 4000, "nmt_nfkc")
