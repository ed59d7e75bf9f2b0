"""PyTorch as a peer: reads 'NAME SECONDS' lines, answers each with a JSON list of milliseconds.

    python3 peer_torch.py [cpu | cuda | cuda:N] [tf32]

A case that this peer does not know is answered with an empty list. On CUDA products and convolutions are
true float32 (TF32 is off unless asked for, and then on for products), and cuDNN picks the fastest of its
algorithms by trial.
"""
import json
import re
import sys
import time

import torch
import torch.nn.functional as F

DEVICE = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
IS_CUDA = DEVICE.type == "cuda"
if IS_CUDA:
    if not torch.cuda.is_available():
        sys.exit("peer_torch: PyTorch finds no CUDA device here")
    torch.backends.cuda.matmul.allow_tf32 = "tf32" in sys.argv[2:]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
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


def recurrent(kind, steps, rows, trains):
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[kind](128, 256)
    x = torch.randn(steps, rows, 128, requires_grad=trains)
    seed = torch.randn(steps, rows, 256)

    def infer():
        with torch.no_grad():
            layer(x)

    def train():
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x)[0].backward(seed)

    return train if trains else infer


def character_step():
    embedding, head = torch.nn.Embedding(65, 64), torch.nn.Linear(256, 65)
    lstm = torch.nn.LSTM(64, 256, 2)
    parameters = [p for module in (embedding, lstm, head) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    x, y = torch.randint(0, 65, (64, 32)), torch.randint(0, 65, (64 * 32,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(head(lstm(embedding(x))[0].flatten(0, 1)), y).backward()
        optimizer.step()

    return step


def convolution(sizes, filters, window, has_gradients):
    n, c, side = (int(extent) for extent in sizes.split("x"))
    k, s, p, g = (int(part) for part in re.fullmatch(r"k(\d+)s(\d+)p(\d+)g(\d+)", window).groups())
    x = torch.randn(n, c, side, side)
    layer = torch.nn.Conv2d(c, int(filters), k, s, p, groups=g)
    if not has_gradients:
        def forward():
            with torch.no_grad():
                layer(x)

        return forward
    # Images with three channels are data.
    x.requires_grad_(c != 3)

    def both():
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x).sum().backward()

    return both


class Convolutional(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = torch.nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = torch.nn.Linear(3136, 256)
        self.fc2 = torch.nn.Linear(256, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def cnn_step():
    model = Convolutional()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(128, 1, 28, 28), torch.randint(0, 10, (128,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def unit(inputs, outputs, kernel, stride, is_folded):
    """A convolution and its batch normalisation, which inference folds into weight and bias."""
    convolution = torch.nn.Conv2d(
        inputs, outputs, kernel, stride, kernel // 2, bias=is_folded)
    return convolution if is_folded else torch.nn.Sequential(
        convolution, torch.nn.BatchNorm2d(outputs))


class Block(torch.nn.Module):
    def __init__(self, inputs, outputs, stride, is_folded):
        super().__init__()
        self.first = unit(inputs, outputs, 3, stride, is_folded)
        self.second = unit(outputs, outputs, 3, 1, is_folded)
        self.shortcut = torch.nn.Identity()
        if inputs != outputs:
            self.shortcut = unit(inputs, outputs, 1, stride, is_folded)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet20(is_folded):
    layers, inputs = [unit(3, 16, 3, 1, is_folded), torch.nn.ReLU()], 16
    for outputs in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and inputs != outputs else 1
            layers.append(Block(inputs, outputs, stride, is_folded))
            inputs = outputs
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10))


def resnet20_step():
    model = resnet20(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def resnet20_inference(batch):
    model = resnet20(True).eval()
    x = torch.randn(batch, 3, 32, 32)

    def forward():
        with torch.inference_mode():
            model(x)

    return forward


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
    if parts[0] in ("conv", "convgrad"):
        # "-featuremap": images as the layer before leaves them, which here is NCHW as well.
        return convolution(*parts[1:4], parts[0] == "convgrad")
    if parts[0] in ("lstm", "gru", "rnn"):
        steps, rows = (int(extent) for extent in parts[1].split("x"))
        return recurrent(parts[0], steps, rows, parts[2] == "train")
    if name.startswith("resnet20-inference-"):
        return resnet20_inference(int(parts[2]))
    return {
        "mlp-step": mlp_step, "cnn-step": cnn_step, "resnet20-step": resnet20_step,
        "char-step": character_step, "chain": chain,
        "gelu-by-hand": gelu_by_hand, "add": add, "small-ops": small_add,
    }[name]()


def wait():
    if IS_CUDA:
        torch.cuda.synchronize(DEVICE)


def measure(body, seconds):
    for _ in range(3):
        body()
    wait()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        body()
        wait()
        times.append(1e3 * (time.perf_counter() - start))
    return times


introduction = {"name": "PyTorch", "version": torch.__version__}
if IS_CUDA:
    introduction["name"] = "PyTorch CUDA" + (" TF32" if "tf32" in sys.argv[2:] else "")
    introduction["card"] = torch.cuda.get_device_name(DEVICE)
print(json.dumps(introduction), flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    try:
        # Tensors and modules are made there. (As a default it would cost each timed call.)
        with DEVICE:
            body = make(name)
    except (KeyError, ValueError):
        print("[]", flush=True)
        continue
    print(json.dumps(measure(body, float(seconds))), flush=True)
