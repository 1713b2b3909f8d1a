"""Makes corruptions/: images corrupted by NumPy and Pillow, with the noise that went in. Formulas from Hendrycks & Dietterich 2019 (arXiv:1903.12261) and, for motion
blur, from ImageMagick's documentation of its kernel; written for this test. Needs numpy, pillow and safetensors."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent / "corruptions"


def picture(rng, height, width):
    """Smooth shapes with edges and some texture, uint8 [H,W,3]."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(9 * x + 3 * c) * np.cos(7 * y - c) for c in range(3)]
    image = 0.5 + 0.3 * np.stack(waves, -1) + 0.2 * ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.05)[..., None]
    return np.uint8(255 * np.clip(image + 0.03 * rng.standard_normal((height, width, 3)), 0, 1))


def byte(x):
    return np.uint8(np.clip(x, 0, 1) * 255)


def gaussian_noise(image, deviation, normal):
    return byte(image / 255.0 + deviation * normal)


def impulse_noise(image, share, uniform):
    result = image.copy()
    result[uniform < share] = 255
    result[uniform < share / 2] = 0
    return result


def contrast(image, share):
    x = image / 255.0
    mean = x.mean((0, 1), keepdims=True)
    return byte((x - mean) * share + mean)


def pixelate(image, share):
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * share), int(height * share)), Image.BOX)
    return np.array(small.resize((width, height), Image.BOX))


def motion_blur(image, radius, sigma, angle):
    length = 2 * radius + 1
    kernel = np.exp(-np.arange(length) ** 2 / (2 * sigma**2))
    kernel /= kernel.sum()
    point = length * np.sin(np.deg2rad(angle)), length * np.cos(np.deg2rad(angle))
    padded = np.pad(image.astype(float), ((length, length), (length, length), (0, 0)), mode="edge")
    total = np.zeros(image.shape)
    for i, weight in enumerate(kernel):
        x = math.ceil(i * point[1] / np.hypot(*point) - 0.5)
        y = math.ceil(i * point[0] / np.hypot(*point) - 0.5)
        total += weight * padded[length + y : length + y + image.shape[0], length + x : length + x + image.shape[1]]
    return np.uint8(np.floor(total + 0.5))


def gaussian_filter(x, sigma):
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        width = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        x = np.apply_along_axis(lambda line: np.convolve(line, kernel, "valid"), axis, np.pad(x, width, mode="edge"))
    return x


def mud(image, mean, deviation, smoothing, threshold, edge, normal):
    liquid = gaussian_filter(mean + deviation * normal, smoothing)
    cover = gaussian_filter((liquid > threshold).astype(float), edge)
    cover[cover < 0.8] = 0
    brown = np.array([63, 42, 20]) / 255
    return byte(image / 255.0 * (1 - cover[..., None]) + cover[..., None] * brown)


def jpeg(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def main():
    rng = np.random.default_rng(20261124)
    FOLDER.mkdir(exist_ok=True)
    arrays = {}
    for size, (height, width) in {"small": (32, 32), "large": (70, 90)}.items():
        image = picture(rng, height, width)
        normal, uniform = rng.standard_normal(image.shape), rng.random(image.shape)
        plane = rng.standard_normal(image.shape[:2])
        is_small = size == "small"
        arrays |= {f"{size}/image": image, f"{size}/normal": normal, f"{size}/uniform": uniform, f"{size}/plane": plane}
        arrays |= {
            f"{size}/gaussian_noise": gaussian_noise(image, 0.1 if is_small else 0.38, normal),
            f"{size}/impulse_noise": impulse_noise(image, 0.07 if is_small else 0.27, uniform),
            f"{size}/contrast": contrast(image, 0.15 if is_small else 0.05),
            f"{size}/pixelate": pixelate(image, 0.65 if is_small else 0.25),
            f"{size}/motion_blur": motion_blur(image, *((9, 2.5) if is_small else (20, 15)), 30),
            f"{size}/spatter": mud(image, *((0.65, 0.1, 0.5, 0.68, 0.6) if is_small else (0.67, 0.4, 1, 0.65, 1.5)), plane),
            f"{size}/jpeg_compression": jpeg(image, 40 if is_small else 7),
        }
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, FOLDER / "fixture.safetensors")


main()
