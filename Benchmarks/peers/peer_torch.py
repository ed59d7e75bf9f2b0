"""PyTorch as a peer: reads 'NAME SECONDS' lines, answers each with a JSON list of milliseconds.

A case that this peer does not know is answered with an empty list.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

torch.manual_seed(0)


def gemm(m, n, k):
    a, b = torch.randn(m, k), torch.randn(k, n)
    return lambda: a @ b


def mlp_step():
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(128, 784), torch.randint(0, 10, (128,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def softmax(rows, columns):
    x = torch.randn(rows, columns)
    return lambda: torch.softmax(x, -1)


def chain():
    x, y = torch.randn(1 << 22), torch.randn(1 << 22)
    return lambda: torch.tanh(x * y + 1.0) * x


def gelu_by_hand():
    x = torch.randn(1 << 24)
    return lambda: (torch.tanh((x * x * x * 0.044715 + x) * 0.7978845608) + 1.0) * x * 0.5


def add():
    x, y = torch.randn(1 << 24), torch.randn(1 << 24)
    return lambda: x + y


def small_add():
    x, y = torch.randn(16), torch.randn(16)

    def thousand():
        z = x
        for _ in range(1000):
            z = z + y
        return z

    return thousand


def make(name):
    parts = name.split("-")
    if parts[0] == "gemm":
        return gemm(*(int(extent) for extent in parts[1].split("x")))
    if parts[0] == "softmax":
        return softmax(*(int(extent) for extent in parts[1].split("x")))
    return {"mlp-step": mlp_step, "chain": chain, "gelu-by-hand": gelu_by_hand, "add": add, "small-ops": small_add}[name]()


def measure(body, seconds):
    for _ in range(3):
        body()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        body()
        times.append(1e3 * (time.perf_counter() - start))
    return times


print(json.dumps({"name": "PyTorch", "version": torch.__version__}), flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    try:
        body = make(name)
    except (KeyError, ValueError):
        print("[]", flush=True)
        continue
    print(json.dumps(measure(body, float(seconds))), flush=True)
