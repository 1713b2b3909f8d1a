"""Texts that tokenizers disagree about, from a seed: scripts of many kinds, emoji, control characters, normal forms, blanks, special tokens spelled out."""

import pydoc_data.topics
import random
import unicodedata

# First and last code point of blocks whose letters make words.
SCRIPTS = {
    "latin": (0x61, 0x7A), "latin-1": (0xC0, 0xFF), "latin extended": (0x100, 0x24F), "ipa": (0x250, 0x2AF),
    "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F), "armenian": (0x530, 0x58F), "hebrew": (0x591, 0x5F4),
    "arabic": (0x600, 0x6FF), "syriac": (0x700, 0x74F), "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FF),
    "tamil": (0xB80, 0xBFF), "thai": (0xE01, 0xE5B), "lao": (0xE81, 0xEDF), "tibetan": (0xF00, 0xFDA),
    "myanmar": (0x1000, 0x109F), "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x137C),
    "cherokee": (0x13A0, 0x13FD), "khmer": (0x1780, 0x17F9), "mongolian": (0x1800, 0x18AA), "phonetic": (0x1D00, 0x1DBF),
    "latin additional": (0x1E00, 0x1EFF), "greek extended": (0x1F00, 0x1FFE), "punctuation": (0x2000, 0x206F),
    "superscripts": (0x2070, 0x209C), "currency": (0x20A0, 0x20C0), "letterlike": (0x2100, 0x218B), "arrows": (0x2190, 0x23FF),
    "enclosed": (0x2460, 0x24FF), "boxes": (0x2500, 0x25FF), "symbols": (0x2600, 0x27BF), "braille": (0x2800, 0x28FF),
    "radicals": (0x2E80, 0x2FD5), "hiragana": (0x3041, 0x3096), "katakana": (0x30A0, 0x30FF), "bopomofo": (0x3105, 0x312F),
    "compatibility": (0x3200, 0x33FF), "cjk a": (0x3400, 0x4DBF), "cjk": (0x4E00, 0x9FFF), "yi": (0xA000, 0xA48C),
    "hangul": (0xAC00, 0xD7A3), "private": (0xE000, 0xF8FF), "cjk compatibility": (0xF900, 0xFAD9),
    "ligatures": (0xFB00, 0xFB4F), "arabic forms": (0xFB50, 0xFDFF), "variation": (0xFE00, 0xFE0F),
    "half marks": (0xFE20, 0xFE6B), "fullwidth": (0xFF01, 0xFFEE), "gothic": (0x10330, 0x1034A),
    "deseret": (0x10400, 0x1044F), "cuneiform": (0x12000, 0x12399), "mathematical": (0x1D400, 0x1D7FF),
    "cards": (0x1F0A0, 0x1F0F5), "enclosed more": (0x1F100, 0x1F1FF), "emoji": (0x1F300, 0x1FAFF), "cjk b": (0x20000, 0x2A6DF),
    "cjk e": (0x2B820, 0x2CEA1), "cjk supplement": (0x2F800, 0x2FA1D), "tags": (0xE0001, 0xE007F),
}  # fmt: skip
BLANKS = "  \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u180e\u2060"
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<s>", "</s>", "<mask>", "<pad>", "<unk>", "<|endoftext|>", "##ing", "▁", "Ġ", "[cls]", "<S>", "<0x0A>"]
EMOJI = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍💻", "🇩🇪", "🇺🇸🇯🇵", "❤️‍🔥", "1️⃣", "#️⃣", "👍🏿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☺️", "🫱🏻‍🫲🏾", "🧑‍🚀", "😀😀😀"]
ODD = [
    "İstanbul IĞDIR ıi", "ΑΣ ΣΑΣ ς Σ", "ὈΔΥΣΣΕΎΣ", "Straße STRASSE ẞ", "ﬁne ﬂow ﬃ ﬅ", "ＦＵＬＬ　ｗｉｄｔｈ", "①②③ ⅷ ½ ²³", "㎏ ㍻ ㋿ ㏂", "ｶﾞｷﾞ ガギ が",
    "Å Å Å", "é é", "각 각", "ไม่ได้ กำลัง น้ำ", "ព្រះរាជាណាចក្រ", "न्‍य क्ष हिन्दी", "ক্ষ বাংলা", "ﷺ ﷽", "שָׁלוֹם", "السَّلَامُ عَلَيْكُمْ", "Ǆ ǅ ǆ Ǳ", "ŉ ǰ ΐ",
    "don't we'll I've you're he'd it's 'tis", "e-mail user@example.com https://a.b/c?d=e#f", "3.14 1,000,000 -5 +7 1e10 0x1F", "a.b.c...d!!??", "“quotes” ‘single’ «guillemets»",
    "中文句子，没有空格。", "日本語の文章です。", "한국어 문장입니다", "中a文b字1", "̈́ ̓̈", "a͏b", "ಠ_ಠ ¯\\_(ツ)_/¯", "~～〜", "x\u0301\u0323 x\u0323\u0301", "\u0340\u0341\u0374\u037e\u0387", "ﬀ\u0301",
]  # fmt: skip


def word(rng, length=None):
    first, last = SCRIPTS[rng.choice(list(SCRIPTS))]
    return "".join(chr(rng.randint(first, last)) for _ in range(length or rng.randint(1, 8)))


def any_character(rng):
    while True:
        code = rng.choice([rng.randrange(0x3000), rng.randrange(0x20000), rng.randrange(0x110000)])
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def english(rng, topics):
    words = topics[rng.randrange(len(topics))].split(" ")
    start = rng.randrange(max(1, len(words) - 40))
    return " ".join(words[start : start + rng.randint(1, 40)])


def mixed(rng, topics):
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.randrange(9)
        if kind < 2:
            parts.append(word(rng))
        elif kind == 2:
            parts.append(english(rng, topics)[: rng.randint(1, 40)])
        elif kind == 3:
            parts.append(rng.choice(EMOJI))
        elif kind == 4:
            parts.append(rng.choice(ODD))
        elif kind == 5:
            parts.append(rng.choice(SPECIAL))
        elif kind == 6:
            parts.append("".join(rng.choice(BLANKS) for _ in range(rng.randint(1, 4))))
        elif kind == 7:
            parts.append(any_character(rng))
        else:
            parts.append("".join(chr(rng.choice([rng.randrange(0x20), 0x7F + rng.randrange(0x21), 0xAD, 0xFFFD, 0xFEFF, 0x85])) for _ in range(rng.randint(1, 3))))
        parts.append(rng.choice(["", " ", " ", "  "]))
    return "".join(parts)


def zalgo(rng):
    marks = lambda: "".join(chr(rng.choice([rng.randint(0x300, 0x36F), rng.randint(0x1AB0, 0x1ACE), rng.randint(0x1DC0, 0x1DFF), rng.randint(0x20D0, 0x20F0)])) for _ in range(rng.randint(0, 6)))
    return "".join(letter + marks() for letter in word(rng, 8))


def long_word(rng):
    size = rng.choice([99, 100, 101, 199, 200, 201, 300])
    return rng.choice(["", "x ", "  "]) + rng.choice([word(rng, size), "a" * size, "ab" * (size // 2), "中" * size, "é" * size]) + rng.choice(["", " y", "."])


KINDS = {
    "mixed": mixed,
    "english": english,
    "script": lambda rng, _: " ".join(word(rng) for _ in range(rng.randint(1, 10))),
    "any characters": lambda rng, _: "".join(any_character(rng) for _ in range(rng.randint(1, 30))),
    "marks": lambda rng, _: zalgo(rng),
    "long word": lambda rng, _: long_word(rng),
    "blanks": lambda rng, _: "".join(rng.choice(BLANKS) for _ in range(rng.randint(0, 12))),
    "special tokens": lambda rng, _: "".join(rng.choice(SPECIAL) + rng.choice(["", " ", "  ", "a"]) for _ in range(rng.randint(1, 6))),
    "odd": lambda rng, _: rng.choice(["", " "]).join(rng.choice(ODD + EMOJI) for _ in range(rng.randint(1, 4))),
    "normal form": lambda rng, topics: unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), mixed(rng, topics)),
    "upper case": lambda rng, topics: mixed(rng, topics).upper(),
}
# Every so many is a very long one.
VERY_LONG_EVERY = 500


def texts(count, seed):
    rng = random.Random(seed)
    topics = [text for _name, text in sorted(pydoc_data.topics.topics.items())]
    made = [""]
    while len(made) < count:
        kind = rng.choice(list(KINDS))
        text = KINDS[kind](rng, topics)
        if len(made) % VERY_LONG_EVERY == 0:
            text = " ".join(mixed(rng, topics) for _ in range(400))
        made.append(text)
    return made


def corpus():
    """What small vocabularies are trained on: English, and the odd texts, often enough to be learned."""
    topics = [line for text in pydoc_data.topics.topics.values() for line in text.split("\n")]
    return topics + (ODD + EMOJI) * 20
