"""tokenizers/: small tokenizers of every kind, a few hundred awkward texts, and digests of what transformers makes of them.

Needs transformers and sentencepiece. What is digested: the numbers of tokens (a semicolon, and the segments) as decimal digits with commas.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent.parent / "scripts" / "compare"))

import tokenizer_kinds  # noqa: E402
from awkward_texts import texts  # noqa: E402

SEED = 7
COUNT = 320
MOST_LETTERS = 70
# sentencepiece's rules: code points in hex, a tab, what replaces them. Its own map has 300 KB.
RULES = {
    "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u2003": " ", "\u3000": " ", "\u00ad": "", "\u200b": "", "\ufeff": "", "Ａ": "A", "ｂ": "b",
    "ﬁ": "fi", "ﬃ": "ffi", "\u212b": "\u00c5", "A\u030a": "\u00c5", "e\u0301": "\u00e9", "①": "1", "½": "1\u20442", "㎏": "kg",
    "\uff76\uff9e": "\u30ac", "\u304b\u3099": "\u304c", "\u1100\u1161\u11a8": "\uac01",
}  # fmt: skip


def digest(values):
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def main():
    folder = ROOT / "tokenizers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    code_points = lambda text: " ".join(f"{ord(letter):X}" for letter in text)
    rules = folder / "rules.tsv"
    rules.write_text("".join(f"{code_points(source)}\t{code_points(target)}\n" for source, target in RULES.items()))
    made = [text for text in dict.fromkeys(texts(3000, SEED)) if len(text) <= MOST_LETTERS or 90 < len(text) < 210][:COUNT]
    tokenizer_kinds.make(folder, None, made, SEED, 600, str(rules))
    rules.unlink()
    for kind in (path for path in folder.iterdir() if path.is_dir()):
        found = json.loads((kind / "expected.json").read_text())
        pairs = [
            {**{key: pair[key] for key in ("first", "pair", "most")}, "digest": digest(",".join(map(str, pair["ids"])) + ";" + ",".join(map(str, pair["segments"])))}
            for pair in found["pairs"]
        ]
        singles = [digest(",".join(map(str, ids))) for ids in found["ids"]]
        (kind / "expected.json").write_text(json.dumps({"singles": singles, "pairs": pairs}, separators=(",", ":")))


main()
