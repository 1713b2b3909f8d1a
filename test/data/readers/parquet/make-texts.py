"""Writes texts.json: parquet files of four texts as pyarrow writes them, in every type that texts have, and what can be wrong with them.

Run with pyarrow 26: python make-texts.py (in this folder).
"""
import base64, io, json
import pyarrow as pa, pyarrow.parquet as pq

texts = ["a good film", "", "schlecht \U0001f98a\nsehr", "na\u00efve"]
labels = pa.array([1, 0, 0, 1])
files = {}


def put(name, columns, **options):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=2, **options)
    files[name] = base64.b64encode(out.getvalue()).decode()


types = {
    "string": pa.array(texts),
    "large_string": pa.array(texts, pa.large_string()),
    "string_view": pa.array(texts, pa.string_view()),
    "binary": pa.array([text.encode() for text in texts], pa.binary()),
    "dictionary": pa.array(texts).dictionary_encode(),
}
for name, column in types.items():
    put(name, {"text": column, "label": labels})
put("without statistics", {"text": pa.array(texts), "label": labels}, write_statistics=False)
put("pairs", {"idx": labels, "premise": pa.array(texts), "hypothesis": pa.array(texts[::-1]), "label": labels})
put("tokens beside", {"text": pa.array([[text] for text in texts]), "sentence": pa.array(texts)})
put("null", {"text": pa.array([*texts[:3], None]), "label": labels})
put("not UTF-8", {"text": pa.array([b"fine", b"caf\xe9!", b"x", b"y"], pa.binary()).cast(pa.string(), safe=False)})
put("numbers", {"text": labels, "label": labels})
json.dump(files, open("texts.json", "w"), indent=0)
print(len(files), sum(map(len, files.values())))
