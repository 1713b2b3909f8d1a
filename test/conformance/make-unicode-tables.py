"""The tables of src/data/text/tokenizer/unicode-tables.ts, printed: what the library `tokenizers` answers for every code point.

LATER and NEWER are where it differs from JavaScript: `node` is asked for its normal forms and classes, one of Unicode 17 (node 20.20).
"""

import json
import subprocess

from tokenizers import Regex, normalizers, pre_tokenizers

CODES = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
JAVASCRIPT = r"""
const forms = {}, marks = [], assigned = [];
for (const form of ["NFD", "NFKC", "NFKD"]) forms[form] = {};
const orders = {};
for (let code = 0; code < 0x110000; code++) {
  if (code >= 0xd800 && code <= 0xdfff) continue;
  const text = String.fromCodePoint(code);
  for (const form in forms) if (text.normalize(form) !== text) forms[form][code] = text.normalize(form);
  if (/[\p{L}\p{N}\p{M}\p{P}\p{S}]/u.test(text)) assigned.push(code);
  if (/\p{M}/u.test(text)) orders[code] = ("a" + text + "\u0334").normalize("NFD") + "|" + ("a\u0345" + text).normalize("NFD");
}
console.log(JSON.stringify({ forms, orders, assigned }));
"""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
        if number == 0:
            return digits


def table(name, codes):
    ranges = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    at, line, lines = 0, "", []
    for first, last in ranges:
        word = base36(first - at) + (f".{base36(last - first)}" if last > first else "")
        at = last
        if len(f"{line} {word}") > 112:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    print(f"const {name}_RANGES = `\n" + "\n".join([*lines, line]) + "`;\n")


def main():
    bert = lambda **on: normalizers.BertNormalizer(**{"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False, **on})
    removed = lambda step: [code for code in CODES if step.normalize_str(chr(code)) == ""]
    splits = lambda step, around: [code for code in CODES if len(step.pre_tokenize_str(around + chr(code) + around)) > 1]
    table("MARK", removed(bert(strip_accents=True)))
    table("COMBINING", removed(normalizers.StripAccents()))
    table("PUNCTUATION", splits(pre_tokenizers.Punctuation(), "a"))
    table("CONTROL", removed(bert(clean_text=True)))
    node = json.loads(subprocess.run(["node", "-e", JAVASCRIPT], capture_output=True, text=True, check=True).stdout)
    later = set()
    for form, changed in node["forms"].items():
        step = getattr(normalizers, form)()
        later |= {code for code in CODES if step.normalize_str(chr(code)) != changed.get(str(code), chr(code))}
    nfd = normalizers.NFD()
    for code, order in node["orders"].items():
        letter = chr(int(code))
        if nfd.normalize_str(f"a{letter}\u0334") + "|" + nfd.normalize_str(f"a\u0345{letter}") != order:
            later.add(int(code))
    table("LATER", later)
    known = set()
    for category, around in (("L", "-"), ("N", "-"), ("M", "-"), ("P", "a"), ("S", "a")):
        known |= set(splits(pre_tokenizers.Split(Regex(rf"\p{{{category}}}"), "isolated"), around))
    table("NEWER", set(node["assigned"]) - known)


main()
