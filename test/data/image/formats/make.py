"""Writes images.json: small images in formats that sharp does not read, and images with an EXIF orientation, with what Pillow makes of them.

RGB as Hugging Face datasets and transformers make it: oriented, what is transparent over white.
Run with Pillow 13: python make.py (in this folder).
"""
import base64, io, json, random, struct, zlib
from PIL import Image, ImageOps

random.seed(22)
W, H = 7, 5
cases = []


def rgb_of(image):
    oriented = ImageOps.exif_transpose(image)
    if oriented.mode in ("RGBA", "LA", "PA") or "transparency" in oriented.info:
        over = Image.new("RGBA", oriented.size, (255, 255, 255, 255))
        over.alpha_composite(oriented.convert("RGBA"))
        oriented = over
    if oriented.mode == "I":  # a graymap of 16 bits: the high byte, as documented
        oriented = Image.frombytes("L", oriented.size, bytes(v >> 8 for v in oriented.getdata()))
    return oriented.convert("RGB")


def add(name, encoded):
    image = Image.open(io.BytesIO(encoded))
    stored = None
    if image.format in ("JPEG", "PNG", "WEBP"):
        stored = Image.open(io.BytesIO(encoded)).convert("RGB")
    expected = rgb_of(image)
    case = {"name": name, "encoded": base64.b64encode(encoded).decode(), "width": expected.width, "height": expected.height}
    case["rgb"] = base64.b64encode(expected.tobytes()).decode()
    if stored is not None and stored.size == (W, H):
        case["stored"] = base64.b64encode(stored.tobytes()).decode()
    cases.append(case)


def saved(image, form, **more):
    out = io.BytesIO()
    image.save(out, form, **more)
    return out.getvalue()


noise = Image.frombytes("RGB", (W, H), random.randbytes(W * H * 3))
grey = noise.convert("L")

# BMP as Pillow writes it.
for mode in ("1", "L", "P", "RGB", "RGBA"):
    image = Image.frombytes("RGBA", (W, H), random.randbytes(W * H * 4)) if mode == "RGBA" else noise.convert(mode)
    add(f"bmp as Pillow writes {mode}", saved(image, "BMP"))


def bmp(bits, data, *, compression=0, palette=b"", masks=b"", header=40, top_down=False, colours=0, offset=None):
    """A BMP with a header of any size; masks lie inside the larger ones."""
    height = -H if top_down else H
    if header == 12:
        info = struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, W, height, 1, bits, compression, len(data), 2835, 2835, colours, 0)
        if header > 40:
            info += masks
            masks = b""
            info += b"\0" * (header - len(info))
    at = 14 + len(info) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at if offset is None else offset) + info + masks + palette + data


def rows(bits):
    used = (W * bits + 7) // 8
    return b"".join(random.randbytes(used) + b"\0" * (-used % 4) for _ in range(H))


for bits in (1, 4, 8):
    for size, header in ((3, 12), (4, 40), (4, 64), (4, 108), (4, 124)):
        palette = random.randbytes(size * 2**bits)
        add(f"bmp {bits} bits, header {header}", bmp(bits, rows(bits), palette=palette, header=header))
    add(f"bmp {bits} bits top-down", bmp(bits, rows(bits), palette=random.randbytes(4 * 2**bits), top_down=True))
add("bmp 4 bits, 16 colours stated", bmp(4, rows(4), palette=random.randbytes(64), colours=16))
add("bmp 8 bits, offset without the palette", bmp(8, rows(8), palette=random.randbytes(1024), offset=54))
add("bmp 1 bit, white and black", bmp(1, rows(1), palette=bytes([255, 255, 255, 0, 0, 0, 0, 0])))
for bits in (16, 24, 32):
    add(f"bmp {bits} bits", bmp(bits, rows(bits)))
    add(f"bmp {bits} bits top-down", bmp(bits, rows(bits), top_down=True))
add("bmp 24 bits, header 12", bmp(24, rows(24), header=12))
word = lambda *masks: struct.pack(f"<{len(masks)}I", *masks)
for header in (40, 52, 56, 108, 124):
    add(f"bmp 565, header {header}", bmp(16, rows(16), compression=3, masks=word(0xF800, 0x7E0, 0x1F), header=header))
    add(f"bmp 555, header {header}", bmp(16, rows(16), compression=3, masks=word(0x7C00, 0x3E0, 0x1F), header=header))
    add(f"bmp BGRX, header {header}", bmp(32, rows(32), compression=3, masks=word(0xFF0000, 0xFF00, 0xFF), header=header))
    add(f"bmp XBGR, header {header}", bmp(32, rows(32), compression=3, masks=word(0xFF000000, 0xFF0000, 0xFF00), header=header))
for name, masks in (
    ("ABGR", (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    ("RGBA", (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    ("BGRA", (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    ("BGAR", (0xFF000000, 0xFF00, 0xFF, 0xFF0000)),
    ("masks of nothing", (0, 0, 0, 0)),
):
    for header in (56, 124):
        add(f"bmp {name}, header {header}", bmp(32, rows(32), compression=3, masks=word(*masks), header=header))

# Run lengths: runs, literals with and without filling, ends of lines, jumps, runs longer than a row.
palette8, palette4 = random.randbytes(1024), random.randbytes(64)
rle8 = bytes([3, 9, 4, 200, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 4, 8, 8, 9, 9, 3, 250, 0, 0, 0, 2, 2, 1, 9, 77, 0, 0, 2, 5, 0, 0, 0, 1])
# The last line needs to be full: it ends with an end of line.
add("bmp rle8", bmp(8, rle8, compression=1, palette=palette8))
rle4 = bytes([7, 0x5A, 0, 0, 0, 5, 0x12, 0x34, 0x50, 0, 2, 0xE1, 0, 0, 7, 0xC3, 0, 0, 0, 7, 0x98, 0x76, 0x54, 0x30, 0, 0, 6, 0x12, 0, 0, 0, 1])
add("bmp rle4", bmp(4, rle4, compression=2, palette=palette4))
add("bmp rle8 top-down", bmp(8, b"".join(bytes([7, 10 * row, 0, 0]) for row in range(H)) + b"\0\1", compression=1, palette=palette8, top_down=True))

# Portable pixmaps.
def text(values, per_line=5, comment=False):
    lines = [" ".join(map(str, values[i : i + per_line])) for i in range(0, len(values), per_line)]
    return ("\n# a comment 7 7\n" if comment else "\n").join(lines).encode() + b"\n"


for most in (1, 15, 100, 254, 255, 256, 1000, 65535):
    size = 1 if most < 256 else 2
    for magic, text_magic, count in ((b"P5", b"P2", W * H), (b"P6", b"P3", W * H * 3)):
        values = [random.randrange(most + 1) for _ in range(count)]
        head = b"\n%d %d\n%d\n" % (W, H, most)
        add(f"{magic.decode()} of {most}", magic + head + b"".join(v.to_bytes(size, "big") for v in values))
        add(f"{text_magic.decode()} of {most}", text_magic + head + text(values))
add("P6 with comments", b"P6 # made\n#by hand\n%d# wide\n %d\n# and\n255\n" % (W, H) + noise.tobytes())
add("P3 with comments", b"P3\n# made\n%d %d 255\n" % (W, H) + text(list(noise.tobytes()), comment=True))
add("P6 on one line, more behind", b"P6 %d %d 255 " % (W, H) + noise.tobytes() + b"P6 1 1 255 abc")
add("P5 of values above the largest", b"P5 %d %d 100 " % (W, H) + grey.tobytes())
add("P4", saved(noise.convert("1"), "PPM"))
bits = [random.randrange(2) for _ in range(W * H)]
add("P1", b"P1\n%d %d\n" % (W, H) + text(bits))
add("P1 without blanks", b"P1\n%d %d\n" % (W, H) + "".join(map(str, bits)).encode())

# Orientations. JPEG: flat blocks, of which decoders make the same.
def exif(value):
    found = Image.Exif()
    found[0x112] = value
    return found


for value in range(1, 9):
    add(f"orientation {value}: jpeg", saved(noise, "JPEG", exif=exif(value), quality=95, subsampling=0))
    add(f"orientation {value}: png", saved(noise, "PNG", exif=exif(value)))
    add(f"orientation {value}: webp", saved(noise, "WEBP", exif=exif(value), lossless=True))
    add(f"orientation {value}: tiff", saved(noise, "TIFF", tiffinfo={274: value}))
big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
add("orientation 6: jpeg, big-endian", saved(noise, "JPEG", exif=big, quality=95, subsampling=0))
add("orientation 0, which is none: jpeg", saved(noise, "JPEG", exif=big.replace(b"\x01\0\x06", b"\x01\0\0"), quality=95, subsampling=0))
add("orientation 9, which is none: jpeg", saved(noise, "JPEG", exif=big.replace(b"\x01\0\x06", b"\x01\0\x09"), quality=95, subsampling=0))
xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="8"/></rdf:RDF></x:xmpmeta>'
add("orientation 8 in XMP: jpeg", saved(noise, "JPEG", xmp=xmp, quality=95, subsampling=0))
add("orientation 8 in XMP: webp", saved(noise, "WEBP", xmp=xmp, lossless=True))
add("orientation 1 in EXIF, 8 in XMP: jpeg", saved(noise, "JPEG", xmp=xmp, exif=exif(1), quality=95, subsampling=0))
from PIL.PngImagePlugin import PngInfo
for compressed in (False, True):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=compressed)
    add(f"orientation 8 in XMP: png{', compressed' if compressed else ''}", saved(noise, "PNG", pnginfo=info))
    info = PngInfo()
    raw = exif(5).tobytes()
    info.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=compressed)
    add(f"orientation 5 in a text: png{', compressed' if compressed else ''}", saved(noise, "PNG", pnginfo=info))

json.dump(cases, open("images.json", "w"), indent=0)
print(len(cases))
