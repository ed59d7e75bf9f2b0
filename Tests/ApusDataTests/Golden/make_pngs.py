"""Writes half.png and, to pngs.npz, PNG files of every kind beside what a reader must make of them.

A file is stored as `NAME file`, its pixels as `NAME` and as gray as `NAME gray`. Pillow reads all files
without transparency, and the values here are Pillow's (of 16 bits the high eight). Transparent files
are laid over white in float64. Needs Python with numpy and pillow: python3 make_pngs.py
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(11)
HEIGHT, WIDTH = 11, 9
# Of each pass: first row, first column, steps of rows and columns.
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
expected = {}


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def filtered(samples, depth, pixel):
    """Rows of samples as bytes, each by another of the five filters."""
    rows, above = b"", None
    for y, line in enumerate(samples.reshape(len(samples), -1)):
        if depth == 16:
            row = line.astype(">u2").tobytes()
        elif depth == 8:
            row = line.astype(np.uint8).tobytes()
        else:
            bits = (line[:, None] >> np.arange(depth)[::-1]) & 1
            row = np.packbits(bits.astype(np.uint8).ravel()).tobytes()
        above = above or bytes(len(row))
        kind, out = y % 5, bytearray()
        for i, value in enumerate(row):
            a, b = (row[i - pixel] if i >= pixel else 0), above[i]
            c = above[i - pixel] if i >= pixel else 0
            p = a + b - c
            nearest = min((abs(p - v), k) for k, v in enumerate((a, b, c)))[1]
            guess = (0, a, b, (a + b) // 2, (a, b, c)[nearest])[kind]
            out.append((value - guess) % 256)
        rows += bytes([kind]) + bytes(out)
        above = row
    return rows


def png(samples, color, depth, interlaced, chunks):
    pixel = max(1, CHANNELS[color] * depth // 8)
    if interlaced:
        passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
        body = b"".join(filtered(p, depth, pixel) for p in passes if p.size)
    else:
        body = filtered(samples, depth, pixel)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(k, v) for k, v in chunks)
            + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b""))


def luma(rgb):
    """Pillow's gray of RGB."""
    return np.asarray(Image.fromarray(rgb.astype(np.uint8), "RGB").convert("L"))


def add(name, file, pixels, alpha):
    if alpha is not None:
        share = alpha[..., None] / 255
        pixels = np.rint(pixels * share + 255 * (1 - share))
    pixels = pixels.astype(np.uint8)
    gray = pixels[..., 0] if pixels.shape[2] == 1 else luma(pixels)
    if alpha is None:
        image = Image.open(io.BytesIO(file))
        found = np.asarray(image.convert("RGB") if pixels.shape[2] == 3 else image)
        if image.mode.startswith("I"):
            found = found >> 8
        elif image.mode == "1":
            found = found * 255
        assert (found.reshape(pixels.shape) == pixels).all(), name
    expected[name + " file"] = np.frombuffer(file, np.uint8)
    expected[name] = pixels.transpose(2, 0, 1).copy()
    expected[name + " gray"] = gray[None].copy()


def make(color, depth, interlaced, transparent, extra=(), label=""):
    top = 2 ** depth
    samples = rng.integers(0, top, (HEIGHT, WIDTH, CHANNELS[color]))
    chunks, alpha = list(extra), None
    scaled = samples >> 8 if depth == 16 else samples * 255 // (top - 1)
    pixels = scaled
    if color == 3:
        palette = rng.integers(0, 256, (top, 3))
        chunks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
        pixels = palette[samples[..., 0]]
    if color in (4, 6):
        pixels, alpha = scaled[..., :-1], scaled[..., -1]
    if transparent and color == 3:
        # Fewer entries than colours: the others are opaque.
        listed = rng.integers(0, 256, max(1, top - 1))
        chunks.append((b"tRNS", listed.astype(np.uint8).tobytes()))
        alpha = np.concatenate([listed, [255] * (top - len(listed))])[samples[..., 0]]
    elif transparent:
        # The samples of one pixel; in 16 bits another one agrees with it in the high bytes alone.
        key = samples[3, 4].copy()
        if depth == 16:
            samples[5, 5] = key ^ 1
            pixels[5, 5] = samples[5, 5] >> 8
        chunks.append((b"tRNS", struct.pack(f">{len(key)}H", *key)))
        alpha = np.where((samples == key).all(-1), 0, 255)
    name = f"color {color} bits {depth}" + " interlaced" * interlaced + " tRNS" * transparent + label
    add(name, png(samples, color, depth, interlaced, chunks), pixels, alpha)


for color, depths in DEPTHS.items():
    for depth in depths:
        for interlaced in (False, True):
            make(color, depth, interlaced, False)
            if color < 4:
                make(color, depth, interlaced, True)
# What is passed over: gamma, colour space, primaries, a background, a comment.
primaries = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
extra = [(b"gAMA", struct.pack(">I", 100000)), (b"cHRM", primaries)]
for color, depth in [(0, 8), (2, 8), (0, 16), (2, 16), (6, 8)]:
    make(color, depth, False, False, extra, " gAMA")
make(2, 8, False, False, [(b"sRGB", b"\0"), (b"tEXt", b"Comment\0none")], " sRGB")
profile = zlib.compress(b"no profile at all" * 20)
make(2, 8, True, False, [(b"iCCP", b"bad\0\0" + profile)], " iCCP")
make(0, 8, False, False, [(b"bKGD", struct.pack(">H", 90))], " bKGD")
Image.new("LA", (1, 1), (0, 128)).save(Path(__file__).parent / "half.png")
np.savez_compressed(Path(__file__).parent / "pngs.npz", **expected)
print(len(expected) // 3, "files")
