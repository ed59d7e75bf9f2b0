"""Writes the NumPy and PNG files that the readers are tested with.

Run with NumPy: python make_arrays.py
"""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

here = Path(__file__).parent
ramp = np.arange(24).reshape(2, 3, 4)

arrays = {
    code: (ramp - (0 if code[0] in "u?" else 5)).astype(code)
    for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 ?".split()
}
arrays["bool"] = arrays.pop("?")
arrays["big_f4"] = arrays["f4"].astype(">f4")
arrays["big_i8"] = arrays["i8"].astype(">i8")
arrays["fortran"] = np.asfortranarray(arrays["f4"])
arrays["fortran_big"] = np.asfortranarray(arrays["f8"].astype(">f8"))
arrays["scalar"] = np.float32(1.5)
arrays["empty"] = np.zeros((0, 3), "f4")
np.savez(here / "stored.npz", **arrays)
np.savez_compressed(here / "deflated.npz", **arrays)

np.savez(here / "refused_text.npz", x=np.array(["a", "bc"]))
np.savez(here / "refused_range.npz", x=np.array([1 << 40]))
np.savez(here / "refused_record.npz", x=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
for version in (2, 3):
    with open(here / f"version{version}.npy", "wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(file, arrays["f4"], version=(version, 0))


def png(name, width, height, depth, color, rows, palette=b"", transparency=b""):
    """Chunks as in the PNG specification, third edition; every row has filter 0."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    data = b"\x89PNG\r\n\x1a\n"
    data += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    if palette:
        data += chunk(b"PLTE", palette)
    if transparency:
        data += chunk(b"tRNS", transparency)
    data += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(row) for row in rows)))
    data += chunk(b"IEND", b"")
    (here / name).write_bytes(data)


png("gray.png", 3, 2, 8, 0, [[0, 128, 255], [1, 2, 3]])
png("rgb.png", 2, 2, 8, 2, [[255, 0, 0, 0, 255, 0], [0, 0, 255, 9, 8, 7]])
png("bits.png", 9, 2, 1, 0, [[0b10101010, 0b10000000], [0b01010101, 0]])
png("palette.png", 3, 1, 8, 3, [[2, 0, 1]], palette=bytes([10, 20, 30, 0, 0, 0, 255, 255, 255]))
png("alpha.png", 2, 1, 8, 6, [[200, 100, 50, 255, 200, 100, 50, 0]])
png("claim.png", 50_000, 600, 8, 0, [[0]])
