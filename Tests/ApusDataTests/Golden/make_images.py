"""Writes small JPEG and PNG files and, to images.npz, what Pillow and PyTorch make of them.

Needs Python with numpy, pillow and torch: python3 make_images.py
"""
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

here = Path(__file__).parent
rng = np.random.default_rng(7)
expected = {}


def planes(image):
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy()


def smooth(height, width):
    """Colour gradients with a disc: what JPEG keeps well."""
    y, x = np.mgrid[0:height, 0:width]
    disc = (y - height / 2) ** 2 + (x - width / 3) ** 2 < (height / 4) ** 2
    pixels = np.stack([255 * x / width, 255 * y / height, 255 - 200 * y / height], axis=-1)
    pixels[disc] = [230, 40, 60]
    return Image.fromarray(pixels.astype(np.uint8))


picture = smooth(19, 26)
files = {
    "baseline.jpg": (picture, dict(quality=90, subsampling=0)),
    "progressive.jpg": (picture, dict(quality=80, progressive=True)),
    "gray.jpg": (picture.convert("L"), dict(quality=90)),
    "cmyk.jpg": (picture.convert("CMYK"), dict(quality=95)),
}
for name, (image, options) in files.items():
    image.save(here / name, **options)
    opened = Image.open(here / name)
    mode = "L" if opened.mode == "L" else "RGB"
    expected[name] = planes(opened.convert(mode))
# The library's own way to gray: the luma that is stored.
luma = Image.open(here / "baseline.jpg")
luma.draft("L", luma.size)
expected["baseline.jpg gray"] = planes(luma)

# Orientations: the same upright picture, stored turned.
small = smooth(6, 9)
turned = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}
for value, transpose in turned.items():
    exif = Image.Exif()
    exif[0x0112] = value
    stored = small.transpose(transpose)
    stored.save(here / f"turned{value}.jpg", quality=95, subsampling=0, exif=exif)
expected["upright"] = planes(small)

# Scaling: Pillow's BILINEAR on bytes.
noise = Image.fromarray(rng.integers(0, 256, (11, 17, 3), dtype=np.uint8))
expected["noise"] = planes(noise)
expected["noise 5x8"] = planes(noise.resize((8, 5), Image.Resampling.BILINEAR))
expected["noise 23x20"] = planes(noise.resize((20, 23), Image.Resampling.BILINEAR))
# Short side to 6, then the middle: 11 x 17 becomes 6 x 9, columns 1 to 6.
expected["noise covering 6"] = planes(noise.resize((9, 6), Image.Resampling.BILINEAR))[:, :, 1:7]

# Sampling by an affine map: grid_sample in pixels about the centre, zeros outside.
image = torch.rand(2, 7, 10, generator=torch.Generator().manual_seed(3))
expected["map image"] = image.numpy()


def warped(image, matrix, offset):
    _, height, width = image.shape
    center = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64),
        indexing="ij")
    source = (torch.stack([x, y], -1) - center) @ torch.tensor(
        matrix, dtype=torch.float64).T + torch.tensor(offset, dtype=torch.float64) + center
    size = torch.tensor([width, height], dtype=torch.float64)
    grid = (2 * source + 1) / size - 1
    return F.grid_sample(
        image.double()[None], grid[None], mode="bilinear", padding_mode="zeros",
        align_corners=False)[0].float().numpy()


angle = np.deg2rad(30)
rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
expected["map rotated"] = warped(image, rotation, [0, 0])
expected["map scaled"] = warped(image, [[1 / 1.5, 0], [0, 1 / 1.5]], [0, 0])
expected["map general"] = warped(image, [[0.8, -0.3], [0.25, 1.1]], [1.25, -0.75])

# Antialiased scaling of floats.
expected["map 4x5"] = F.interpolate(
    image[None, :, 1:6, 2:9], size=(4, 5), mode="bilinear", antialias=True)[0].numpy()

# Colour, by torchvision's definitions.
color = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(4)) * 255
expected["color"] = color.numpy()
weights = torch.tensor([0.2989, 0.587, 0.114])[:, None, None]


def blend(a, b, factor):
    return (factor * a + (1 - factor) * b).clamp(0, 255)


bright = blend(color, torch.zeros_like(color), 1.3)
contrast = blend(bright, (bright * weights).sum(0).mean(), 0.6)
saturated = blend(contrast, (contrast * weights).sum(0, keepdim=True), 1.4)
expected["color adjusted"] = saturated.numpy()

np.savez_compressed(here / "images.npz", **expected)
