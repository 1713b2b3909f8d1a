"""transformers' side of `npm run compare -- preprocessing`: makes images of many kinds, and what CLIPImageProcessor (PIL backend) makes of them.

`make FOLDER` writes 420 images of fixed seeds and kinds.json: [{"file", "kind", "lossless"}]. `process FOLDER` reads kinds.json, to which
our side has added images of its data sets, and writes expected.safetensors: `pixels` U8 [N, 224, 224, 3], the image before scaling and
normalisation. Needs transformers, torch, pillow, numpy, safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from safetensors.numpy import save_file
from transformers.models.clip import image_processing_pil_clip

SEED = 20
ORIENTATION = 0x0112
COLOUR_SPACES = ("sRGB", "LAB")


def picture(rng, width, height):
    """RGB with smooth shading, hard edges, fine texture and saturated patches, as photographs have all of them."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    value = np.zeros((height, width, 3), np.float32)
    for _ in range(4):
        fy, fx = rng.uniform(-4, 4, (2, 3)) * 6.28
        value += rng.uniform(10, 50, 3) * np.sin(
            fy * (y / height)[..., None] + fx * (x / width)[..., None] + rng.uniform(0, 6.28, 3)
        )
    value += 127 + rng.normal(0, rng.uniform(0, 25), value.shape)
    for _ in range(6):
        top, left = rng.integers(0, height), rng.integers(0, width)
        bottom, right = top + 1 + rng.integers(0, height) // 3, left + 1 + rng.integers(0, width) // 3
        value[top:bottom, left:right] = rng.choice([0, 255, 255 * rng.random()], 3)
    return Image.fromarray(np.clip(value, 0, 255).astype(np.uint8))


def between(rng, low, high):
    return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))


def grey16(rng):
    width, height = between(rng, 20, 300)
    return Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16))


def with_alpha(rng, image):
    image = image.copy()
    image.putalpha(picture(rng, *image.size).convert("L"))
    return image


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def profile(number):
    space = COLOUR_SPACES[0] if number % 2 == 0 else COLOUR_SPACES[1]
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def jpeg(make, **options):
    return ("jpg", False, lambda rng, n: (make(rng, n), {"quality": 90, **options}))


def photo(low, high, mode="RGB"):
    return lambda rng, n: picture(rng, *between(rng, low, high)).convert(mode)


def png(make, **options):
    return ("png", True, lambda rng, n: (make(rng, n), options))


EXTREME = ((1, 300), (300, 1), (3, 700), (2000, 20), (20, 2000), (224, 5), (7, 224), (1500, 31), (64, 900), (2, 2000))


def recipes():
    """(kind, count, extension, lossless, function of (rng, number) giving the image and its options)."""
    yield "png rgb", 40, *png(photo(30, 600))
    yield "png 224 on one side", 6, *png(lambda rng, n: picture(rng, *((224, 224), (224, 300), (300, 224))[n % 3]))
    yield "png tiny, 1 to 8 pixels", 40, *png(photo(1, 8))
    yield "png 28x28 grey", 16, *png(lambda rng, n: picture(rng, 28, 28).convert("L"))
    yield "png 32x32", 16, *png(lambda rng, n: picture(rng, 32, 32))
    yield "png grey", 10, *png(photo(30, 500, "L"))
    yield "png bilevel", 8, *png(photo(30, 300, "1"))
    yield "png palette", 12, *png(lambda rng, n: picture(rng, *between(rng, 30, 300)).quantize(2 ** (1 + n % 8)))
    yield "png palette with a transparent colour", 8, "png", True, lambda rng, n: (
        picture(rng, *between(rng, 30, 300)).quantize(32),
        {"transparency": n},
    )
    yield "png alpha", 16, *png(lambda rng, n: with_alpha(rng, picture(rng, *between(rng, 30, 300))))
    yield "png grey alpha", 8, *png(lambda rng, n: with_alpha(rng, picture(rng, *between(rng, 30, 300))).convert("LA"))
    yield "png rgb with a transparent colour", 6, *png(photo(30, 300), transparency=(255, 255, 255))
    yield "png with a colour profile", 6, "png", True, lambda rng, n: (
        picture(rng, *between(rng, 30, 300)),
        {"icc_profile": profile(0)},
    )
    yield "png 16-bit grey", 10, *png(lambda rng, n: grey16(rng))
    yield "png extreme aspect ratio", 20, *png(lambda rng, n: picture(rng, *EXTREME[n % len(EXTREME)]))
    yield "png 4000x3000", 2, *png(lambda rng, n: picture(rng, 4000, 3000), compress_level=1)
    yield "tiff", 8, "tif", True, lambda rng, n: (
        picture(rng, *between(rng, 30, 300)),
        {"compression": ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")[n % 4]},
    )
    yield "gif", 8, "gif", True, lambda rng, n: (picture(rng, *between(rng, 30, 300)).quantize(64), {})
    yield "webp lossless", 8, "webp", True, lambda rng, n: (picture(rng, *between(rng, 30, 300)), {"lossless": True})
    yield "webp", 10, "webp", False, lambda rng, n: (picture(rng, *between(rng, 30, 500)), {"quality": 30 + 7 * n})
    for subsampling, name in enumerate(("4:4:4", "4:2:2", "4:2:0")):
        for quality in (30, 75, 90, 100):
            yield f"jpeg {name}", 7, *jpeg(photo(60, 700), quality=quality, subsampling=subsampling)
    yield "jpeg progressive", 8, *jpeg(photo(60, 700), progressive=True)
    yield "jpeg tiny", 10, *jpeg(photo(1, 20))
    yield "jpeg grey", 8, *jpeg(photo(30, 500, "L"))
    yield "jpeg rgb without colour transform", 6, *jpeg(photo(30, 400), keep_rgb=True)
    yield "jpeg cmyk", 12, *jpeg(lambda rng, n: Image.merge("CMYK", [photo(60, 60, "L")(rng, n) for _ in range(4)]))
    yield "jpeg with exif orientation", 16, "jpg", False, lambda rng, n: (
        picture(rng, *between(rng, 60, 500)),
        {"quality": 90, "exif": exif(1 + n % 8)},
    )
    yield "jpeg with a colour profile", 6, "jpg", False, lambda rng, n: (
        picture(rng, *between(rng, 60, 500)),
        {"quality": 90, "icc_profile": profile(n)},
    )
    yield "jpeg extreme aspect ratio", 8, *jpeg(lambda rng, n: picture(rng, *EXTREME[n % len(EXTREME)]))
    yield "jpeg 4000x3000", 4, *jpeg(lambda rng, n: picture(rng, 4000, 3000))


def make(folder):
    kinds = []
    for number, (kind, count, extension, lossless, build) in enumerate(recipes()):
        for index in range(count):
            image, options = build(np.random.default_rng([SEED, number, index]), index)
            file = f"{number:02d}-{index:02d}.{extension}"
            image.save(folder / file, **options)
            kinds.append({"file": file, "kind": kind, "lossless": lossless})
    (folder / "kinds.json").write_text(json.dumps(kinds))


def process(folder):
    processor = image_processing_pil_clip.CLIPImageProcessorPil()
    kinds = json.loads((folder / "kinds.json").read_text())
    pixels = np.zeros((len(kinds), 224, 224, 3), np.uint8)
    for row, entry in enumerate(kinds):
        # As Hugging Face datasets decodes images, and as we do.
        with Image.open(folder / entry["file"]) as stored:
            image = ImageOps.exif_transpose(stored)
            found = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        if not np.array_equal(found, found.astype(np.uint8)):
            sys.exit(f"{entry['file']}: the processor gave values that are no bytes")
        pixels[row] = found.transpose(1, 2, 0)
    save_file({"pixels": pixels}, folder / "expected.safetensors")
    described = {"resample": int(processor.resample), **{key: dict(getattr(processor, key)) for key in ("size", "crop_size")}}
    described |= {"image_mean": list(processor.image_mean), "image_std": list(processor.image_std)}
    (folder / "preprocessor_config.json").write_text(json.dumps(described))


if __name__ == "__main__":
    {"make": make, "process": process}[sys.argv[1]](Path(sys.argv[2]))
