"""Makes the fixtures of test/data/preprocessing.test.ts: small images, and what Pillow makes of them.

Run in this folder with Python 3 and Pillow (made with 13.0.0): python make-resize.py
The steps are those of transformers' PIL-based CLIPImageProcessor (5.23) up to the scaling of values.
"""

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

OUT = Path(__file__).parent / "resize"
FILTERS = {0: Image.Resampling.NEAREST, 2: Image.Resampling.BILINEAR, 3: Image.Resampling.BICUBIC}


def picture(width, height, seed):
    """Edges, a gradient and noise: overshoot, clipping and rounding all happen."""
    rng = random.Random(seed)
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (255 * x // width, 255 * y // height, rng.randrange(256)))
    draw = ImageDraw.Draw(image)
    draw.rectangle([width // 4, height // 4, width // 2, height // 2], fill=(255, 255, 255))
    draw.line([0, height - 1, width - 1, 0], fill=(0, 0, 0))
    return image


def to_rgb(image):
    """Transparency over white, as transformers' convert_to_rgb."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def prepare(image, config):
    image = to_rgb(image)
    if config.get("do_resize", True):
        size = config["size"]
        if "shortest_edge" in size:
            short, long = sorted(image.size)
            long = int(size["shortest_edge"] * long / short)
            short = size["shortest_edge"]
            target = (short, long) if image.width <= image.height else (long, short)
        else:
            target = (size["width"], size["height"])
        image = image.resize(target, resample=FILTERS[config.get("resample", 3)])
    if "crop_size" in config:
        height, width = config["crop_size"]["height"], config["crop_size"]["width"]
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return image


def clip(side, **rest):
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, **rest}


def exact(width, height, **rest):
    return {"size": {"height": height, "width": width}, **rest}


def main():
    OUT.mkdir(exist_ok=True)
    rgb = picture(61, 43, 1)
    alpha = rgb.copy()
    alpha.putalpha(picture(61, 43, 2).convert("L"))
    cmyk = Image.merge("CMYK", [picture(61, 43, seed).convert("L") for seed in (3, 4, 5, 6)])
    rotated = Image.Exif()
    rotated[0x0112] = 6
    sources = {
        "rgb.png": (rgb, {}),
        "tall.png": (picture(19, 50, 7), {}),
        "line.png": (picture(1, 300, 8), {}),
        "digit.png": (picture(28, 28, 9).convert("L"), {}),
        "palette.png": (rgb.quantize(32), {}),
        "alpha.png": (alpha, {}),
        "grey-alpha.png": (alpha.convert("LA"), {}),
        "bilevel.png": (rgb.convert("1"), {}),
        "alpha.webp": (alpha, {"lossless": True, "exact": True}),
        "photo.jpg": (rgb, {"quality": 85}),
        "grey.jpg": (rgb.convert("L"), {"quality": 85}),
        "cmyk.jpg": (cmyk, {"quality": 85}),
        "rotated.jpg": (rgb, {"quality": 85, "exif": rotated}),
    }
    # After the numbered cases before, whose files keep their names.
    later = {
        "palette-transparent.png": (rgb.quantize(32), {"transparency": 3}),
        "colour-key.png": (rgb, {"transparency": (255, 255, 255)}),
        "tower.png": (picture(40, 100, 10), {}),
    }
    for name, (image, options) in (sources | later).items():
        image.save(OUT / name, **options)
    cases = [(name, clip(32)) for name in sources]
    cases += [("rgb.png", clip(48, resample=number)) for number in FILTERS]
    cases += [("rgb.png", exact(20, 33, resample=number)) for number in FILTERS]
    cases += [("rgb.png", exact(61, 20)), ("rgb.png", exact(90, 43)), ("rgb.png", exact(3, 2)), ("rgb.png", exact(61, 43))]
    cases += [("tall.png", clip(64)), ("digit.png", clip(56)), ("digit.png", clip(28)), ("digit.png", clip(27))]
    cases += [("rgb.png", {"size": {"shortest_edge": 20}, "crop_size": {"height": 31, "width": 24}})]
    cases += [("rgb.png", {"do_resize": False, "crop_size": {"height": 50, "width": 70}})]
    cases += [(name, clip(32)) for name in later]
    # Either side of where Pillow 13 changes the order of its passes: 100 - 60 against twice 40 - 20.
    cases += [("tower.png", exact(20, 60)), ("tower.png", exact(20, 59)), ("tower.png", exact(60, 90))]
    table = []
    for number, (name, config) in enumerate(cases):
        expected = f"expected-{number:02d}.png"
        prepare(Image.open(OUT / name), config).save(OUT / expected)
        table.append({"image": name, "expected": expected, "config": {**config, "do_normalize": False}})
    (OUT / "cases.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
