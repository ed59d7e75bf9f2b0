"""Writes audio.json: WAV files with their samples, and what torchaudio makes of a signal.

Run with NumPy, PyTorch and torchaudio: python make_audio.py
"""

import io
import json
import struct
import wave
from pathlib import Path

import numpy as np
import torch
import torchaudio.functional as F
import torchaudio.transforms as T

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(7)


def riff(tag, channels, rate, bits, data, extensible=False, before=b""):
    """A file with chunks in the order of the RIFF specification."""
    frame = channels * bits // 8
    if extensible:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        fmt = struct.pack("<HHIIHHHHI", 0xFFFE, channels, rate, rate * frame, frame, bits, 22, bits, 0) + guid
    else:
        fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm(values, width, channels, rate):
    """Written by Python's own `wave`."""
    raw = b"".join(
        bytes([v + 128]) if width == 1 else int(v).to_bytes(width, "little", signed=True) for v in values
    )
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return buffer.getvalue(), raw


def entry(name, data, values, channels, rate):
    mono = np.asarray(values, float).reshape(-1, channels).mean(1)
    return {"name": name, "hex": data.hex(), "rate": rate, "samples": mono.astype(np.float32).tolist()}


files = []
for width, channels, rate in [(1, 1, 8000), (2, 1, 8000), (2, 2, 44100), (3, 1, 16000), (3, 3, 96000), (4, 2, 11025)]:
    top = 1 << (8 * width - 1)
    values = rng.integers(-top, top, 7 * channels)
    values[:2] = [-top, top - 1]
    data, raw = pcm(values, width, channels, rate)
    files.append(entry(f"pcm{8 * width}x{channels}", data, values / top, channels, rate))
    if width == 3 and channels == 1:
        # An odd number of bytes, and an odd chunk before.
        list_chunk = b"LIST" + struct.pack("<I", 5) + b"hello\0"
        data = riff(1, 1, rate, 24, raw, extensible=True, before=list_chunk)
        files.append(entry("extensible24", data, values / top, 1, rate))
floats = rng.uniform(-1, 1, 10)
files.append(entry("float32", riff(3, 2, 48000, 32, floats.astype("<f4").tobytes()), floats.astype("f4"), 2, 48000))
files.append(entry("float64", riff(3, 1, 22050, 64, floats.astype("<f8").tobytes()), floats, 1, 22050))
files.append(
    entry("extensibleFloat", riff(3, 1, 8000, 32, floats.astype("<f4").tobytes(), True), floats.astype("f4"), 1, 8000)
)

time = np.arange(1500) / 8000
signal = 0.4 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.1 * rng.standard_normal(1500)
signal = signal.astype(np.float32)
x = torch.from_numpy(signal.astype(np.float64))

resampled = [
    {"from": a, "to": b, "count": n, "samples": F.resample(x[:n], a, b).tolist()}
    for a, b, n in [
        (8000, 16000, 120), (16000, 8000, 201), (44100, 8000, 333), (11025, 16000, 90), (8000, 8000, 5), (3, 7, 30),
        (8000, 11025, 1), (48000, 44100, 150),
    ]
]

features = []
base = dict(sampleRate=8000, fftSize=256, windowLength=256, hopLength=80, power=2.0, melCount=40)
for change in [
    {},
    dict(windowLength=200, hopLength=100),
    dict(melScale="slaney"),
    dict(melScale="slaney", isMelNormalized=True, lowFrequency=50.0, highFrequency=3500.0),
    dict(fftSize=200, windowLength=200, hopLength=64, melCount=16),
    dict(power=1.0),
    dict(fftSize=354, windowLength=353, hopLength=110, sampleRate=11025, melCount=23),
    dict(topDecibels=20.0),
    dict(kind="mfcc", coefficientCount=13),
    dict(kind="mfcc", coefficientCount=20, melCount=30, melScale="slaney", isMelNormalized=True),
]:
    s = base | dict(
        kind="log-mel", lowFrequency=0.0, highFrequency=None, melScale="htk", isMelNormalized=False, topDecibels=80.0,
        coefficientCount=20, sampleCount=1500,
    ) | change
    mel = dict(
        n_fft=s["fftSize"], win_length=s["windowLength"], hop_length=s["hopLength"], power=s["power"],
        n_mels=s["melCount"], f_min=s["lowFrequency"], f_max=s["highFrequency"], mel_scale=s["melScale"],
        norm="slaney" if s["isMelNormalized"] else None,
    )
    if s["kind"] == "mfcc":
        y = T.MFCC(s["sampleRate"], n_mfcc=s["coefficientCount"], melkwargs=mel)(x)
    else:
        y = T.AmplitudeToDB("power", s["topDecibels"])(T.MelSpectrogram(s["sampleRate"], **mel)(x))
    features.append({"settings": {k: v for k, v in s.items() if v is not None}, "values": y.float().flatten().tolist()})


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


out = {"files": files, "signal": signal.tolist(), "resampled": rounded(resampled), "features": rounded(features)}
Path(__file__).with_name("audio.json").write_text(json.dumps(out))
