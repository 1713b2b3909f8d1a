"""Writes files.json: parquet files as pyarrow and pandas write them, of six images: every codec, page version and encoding; and labels of every type.

Run with pyarrow 26 and pandas 3: python make.py (in this folder).
"""
import base64, io, json
import pandas as pd, pyarrow as pa, pyarrow.parquet as pq

images = [bytes([i, 200 + i, 7 * i]) * (1 + 10 * i) for i in range(6)]
column = [{"bytes": b, "path": None} for b in images]
words = ["owl", "cat", "dog", "cat", "owl", "cat"]
files = {}


def put(name, table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, write_statistics=False, **options)
    files[name] = base64.b64encode(out.getvalue()).decode()


for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4", "lz4_raw"):
    for version in ("1.0", "2.0"):
        for dictionary in (True, False):
            table = pa.table({"image": column, "label": words})
            put(f"{codec}, pages {version}, {'dictionary' if dictionary else 'plain'}", table, compression=codec, data_page_version=version, use_dictionary=dictionary, row_group_size=4, store_schema=False)

numbers = [2, 0, 1, 0, 2, 0]
labels = {
    "string": pa.array(words),
    "large_string": pa.array(words, pa.large_string()),
    "string_view": pa.array(words, pa.string_view()),
    "binary": pa.array([w.encode() for w in words], pa.binary()),
    "dictionary": pa.array(words).dictionary_encode(),
    "dictionary of large_string": pa.array(words, pa.large_string()).dictionary_encode(),
    "bool": pa.array([bool(n) for n in numbers]),
    "float32": pa.array(map(float, numbers), pa.float32()),
    "float64": pa.array(map(float, numbers), pa.float64()),
    "float16": pa.array(numbers, pa.int16()).cast(pa.float16()),
    **{kind: pa.array(numbers, getattr(pa, kind)()) for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "all null": pa.nulls(6, pa.string()),
    "all NaN": pa.array([float("nan")] * 6),
    "some null": pa.array(words[:5] + [None]),
    "empty text": pa.array([""] * 6),
    "half": pa.array([n + 0.5 for n in numbers]),
    "list": pa.array([[n] for n in numbers]),
}
for name, values in labels.items():
    put(f"label {name}", pa.table({"image": column, "label": values}), compression="zstd", store_schema=name.startswith("dict"))
frame = pd.DataFrame({"image": images, "label": pd.Categorical(words, categories=["owl", "dog", "cat", "none of these"])})
put("pandas categorical, bytes", pa.Table.from_pandas(frame), compression="snappy")
features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["owl", "dog", "cat"]}}
named = pa.table({"image": column, "label": words}).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
put("texts with names in the metadata", named)
for given in ("Image", " image", "image_file", "Photo"):
    put(f"column {given}", pa.table({"id": list(range(6)), given: images, "Class": words}))
put("columns class and target", pa.table({"image": column, "class": words, "target": words}))
json.dump(files, open("files.json", "w"), indent=0)
print(len(files), sum(map(len, files.values())))
