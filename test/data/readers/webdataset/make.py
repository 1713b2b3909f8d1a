"""Writes the archives of this folder, in the three formats that Python's tarfile writes, and what is in them to expected.json.

    python test/data/readers/webdataset/make.py
"""
import hashlib
import io
import json
import pathlib
import tarfile

HERE = pathlib.Path(__file__).parent
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def image(number):
    # Of lengths around a block of 512 bytes. What is in it does not matter to a reader of archives.
    return bytes((number * 31 + at) % 251 for at in range(500 + 6 * number))


def write(path, format, samples):
    """Samples of (key, class): an image and a label each, as the CLIP benchmark's repositories have them."""
    path.parent.mkdir(exist_ok=True)
    found = []
    with tarfile.open(path, "w", format=format) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for number, (key, label) in enumerate(samples):
            content = image(number)
            if number % 2:
                add(archive, f"{key}.cls", str(label).encode())
            add(archive, f"{key}.jpg", content)
            if number % 2 == 0:
                add(archive, f"{key}.cls", f"{label}\n".encode())
            add(archive, f"{key}.txt", b"not looked at")
            found.append({"name": f"{key}.jpg", "label": label, "sha256": hashlib.sha256(content).hexdigest()})
    return found


LONG = "folder/" + "long-" * 30
expected = {}
for name, format in FORMATS.items():
    # ustar has room for long names only where they can be cut at a slash.
    keys = ["s0000001", "s0000002", f"folder/{'a' * 80}/{'b' * 60}" if name == "ustar" else f"{LONG}é", "s0000004"]
    expected[f"{name}/0.tar"] = write(HERE / name / "0.tar", format, [(key, number % 3) for number, key in enumerate(keys)])
more = {number: write(HERE / "pax" / f"{number}.tar", tarfile.PAX_FORMAT, [(f"t{number}", 2)]) for number in (2, 10)}
expected.update({f"pax/{number}.tar": found for number, found in more.items()})
(HERE / "pax" / "nshards.txt").write_text("3")
(HERE / "classnames.txt").write_text("angry\nhappy\nsad\n")
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
