"""Writes primitives.json beside this file: what NumPy and PyTorch make of small inputs.

Run with NumPy and PyTorch installed: python make_golden.py
Inputs are rounded to their element type first; results are computed in float64 and stored with 11 digits. Every
case is named as the test names the operation.
"""

import json
import math
import pathlib

import numpy as np
import torch

rng = np.random.default_rng(20)
cases = []


def encoded(array, dtype, digits):
    def number(v):
        # As many digits as tell neighbours of the type apart, or as the comparison sees.
        v = float(f"{v:.9g}") if dtype == "float32" else float(f"{v:.{digits}g}")
        if math.isnan(v):
            return "nan"
        if math.isinf(v):
            return "inf" if v > 0 else "-inf"
        is_whole = v == int(v) and abs(v) < 2**53
        return int(v) if is_whole and not (v == 0 and math.copysign(1, v) < 0) else v

    return [number(v) for v in np.asarray(array).ravel()]


def operand(array, dtype="float32", digits=11):
    array = np.asarray(array)
    if dtype == "float32":
        array = array.astype(np.float32).astype(np.float64)
    return {"shape": list(array.shape), "dtype": dtype, "values": encoded(array, dtype, digits)}


def case(name, inputs, outputs):
    cases.append({"name": name, "inputs": inputs, "outputs": outputs})


def f32(*shape, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(np.float32).astype(np.float64)


# Element-wise functions, with derivatives by PyTorch's autograd in float64.
F = torch.nn.functional
unary = {
    "negate": torch.neg, "abs": torch.abs, "sign": torch.sign, "square": torch.square,
    "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p,
    "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "sin": torch.sin,
    "cos": torch.cos, "tanh": torch.tanh, "erf": torch.erf, "floor": torch.floor,
    "ceil": torch.ceil, "round": torch.round, "sigmoid": torch.sigmoid, "relu": torch.relu,
    "silu": F.silu, "leakyReLU": lambda x: F.leaky_relu(x, float(np.float32(0.1))),
    "elu": lambda x: F.elu(x, 0.75), "gelu": F.gelu,
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": lambda x: F.softplus(x, beta=1.5, threshold=4),
    "clamp": lambda x: torch.clamp(x, -1, 0.5),
}
from_output = {"exp", "expm1", "sqrt", "rsqrt", "reciprocal", "tanh", "sigmoid", "relu", "leakyReLU", "elu"}
positive = {"log", "sqrt", "rsqrt"}
for name, function in unary.items():
    low = 0.05 if name in positive else -0.9 if name == "log1p" else -5
    points = f32(14, low=low, high=6)
    if name not in positive and name not in {"log1p", "reciprocal"}:
        points = np.concatenate([points, [0.0, 0.5, -0.5, 1.5, 2.5, -1.0]])
    x = torch.tensor(points, requires_grad=True)
    y = function(x)
    case(f"unary {name}", [operand(points)], [operand(y.detach().numpy(), "float64")])
    dy = f32(len(points))
    y.backward(torch.tensor(dy))
    # A rounded output would lose the digits that the derivative needs.
    saved = operand(y.detach().numpy(), "float64", 17) if name in from_output else operand(points)
    case(
        f"unaryBackward {name}", [saved, operand(dy)],
        [operand(x.grad.numpy(), "float64")])
flags = np.array([1, 0, 0, 1, 1])
case("unary logicalNot", [operand(flags, "bool")], [operand(1 - flags, "bool")])
odd = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -3.0])
case("unary isNaN", [operand(odd)], [operand(np.isnan(odd), "bool")])
case("unary isFinite", [operand(odd)], [operand(np.isfinite(odd), "bool")])

# Two and three arguments.
a, b = f32(4, 5, low=-6, high=6), f32(4, 5, low=-3, high=3)
binary = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "power": np.power, "atan2": np.arctan2, "maximum": np.maximum, "minimum": np.minimum,
    "remainder": np.remainder,
}
integers = rng.integers(-(2**31), 2**31, (2, 9))
for name, function in binary.items():
    base = np.abs(a) if name == "power" else a
    case(f"binary {name}", [operand(base), operand(b)], [operand(function(base, b), "float64")])
    scalar = np.full_like(a, 1.5)
    case(f"scalar {name}", [operand(base)], [operand(function(base, scalar), "float64")])
    case(f"scalar reversed {name}", [operand(b)], [operand(function(scalar, b), "float64")])
    if name in {"add", "subtract", "multiply", "maximum", "minimum"}:
        exact = function(integers[0], integers[1])
        wrapped = (exact + 2**31) % 2**32 - 2**31
        case(
            f"binary int32 {name}", [operand(integers[0], "int32"), operand(integers[1], "int32")],
            [operand(wrapped, "int32")])
nans = np.array([[np.nan, 1, np.nan], [2, np.nan, np.nan]])
for name in ["maximum", "minimum"]:
    case(
        f"binary NaN {name}", [operand(nans[0]), operand(nans[1])],
        [operand(binary[name](nans[0], nans[1]), "float64")])
p, q = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
for name, function in {
    "logicalAnd": np.logical_and, "logicalOr": np.logical_or, "logicalXor": np.logical_xor
}.items():
    case(f"binary {name}", [operand(p, "bool"), operand(q, "bool")], [operand(function(p, q), "bool")])
u, v = np.array([1, 2, 3, np.nan, np.inf]), np.array([2, 2, 2, np.nan, np.inf])
for name, function in {
    "equal": np.equal, "notEqual": np.not_equal, "less": np.less, "lessOrEqual": np.less_equal,
    "greater": np.greater, "greaterOrEqual": np.greater_equal,
}.items():
    case(f"compare {name}", [operand(u), operand(v)], [operand(function(u, v), "bool")])
x, y, z = f32(6), f32(6), f32(6)
c = np.array([1, 0, 1, 1, 0, 0])
case("ternary select", [operand(c, "bool"), operand(x), operand(y)], [operand(np.where(c, x, y))])
case("ternary multiplyAdd", [operand(x), operand(y), operand(z)], [operand(x * y + z, "float64")])
case("ternary lerp", [operand(x), operand(y), operand(z)], [operand(x + (y - x) * z, "float64")])

# Conversions.
points = np.array([
    0, -0.0, 1.5, -1.5, 0.3, 65519.99, 65520, -70000, 5.9e-8, 2.98e-8, 1.00048828125, 1.00146484375,
    1.00390625, 1.01171875, 3.39e38, 255.5, 256, -1, 2147483648, -2147483904, 1e-40, np.nan, np.inf,
    -np.inf,
]).astype(np.float32)


def bfloat(array):
    bits = array.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32)
    return np.where(np.isnan(array), np.nan, rounded.view(np.float32))


def saturated(array, low, high):
    return np.clip(np.trunc(np.nan_to_num(array.astype(np.float64), nan=0)), low, high)


with np.errstate(over="ignore"):
    half = points.astype(np.float16)
for dtype, result in {
    "float64": points, "float16": half, "bfloat16": bfloat(points),
    "int32": saturated(points, -(2**31), 2**31 - 1), "uint8": saturated(points, 0, 255),
    "bool": points != 0,
}.items():
    case(f"copy to {dtype}", [operand(points)], [operand(result, dtype)])

# Reductions.
x = f32(3, 4, 5)
reductions = {"sum": np.sum, "mean": np.mean, "maximum": np.max, "minimum": np.min}
for name, function in reductions.items():
    for axes in [(0,), (1,), (2,), (0, 2), (0, 1, 2)]:
        case(
            f"reduce {name} {list(axes)}", [operand(x)],
            [operand(function(x, axis=axes, keepdims=True), "float64")])
counts = rng.integers(-(2**31), 2**31, (3, 7))
case(
    "reduce int32 sum", [operand(counts, "int32")],
    [operand((counts.sum(1, keepdims=True) + 2**31) % 2**32 - 2**31, "int32")])
ties = np.array([[1, 3, 3, -2, -2, 0], [5, np.nan, 7, np.nan, -9, 1]])
for name, function in {"maximum": np.argmax, "minimum": np.argmin}.items():
    case(
        f"argReduce {name}", [operand(ties)],
        [operand(function(ties, axis=1)[:, None], "int32")])

# Products, indices, order.
a, b = f32(2, 3, 4), f32(2, 4, 5)
case("gemm", [operand(a), operand(b)], [operand(a @ b, "float64")])
x, rows = f32(5, 4), np.array([4, 0, 4, 2])
case("take 0", [operand(x), operand(rows, "int32")], [operand(x[rows])])
columns = np.array([3, 3, 0])
case("take 1", [operand(x), operand(columns, "int32")], [operand(x[:, columns])])
source = f32(4, 4)
total = x.copy()
np.add.at(total, rows, source)
case("indexAdd 0", [operand(x), operand(rows, "int32"), operand(source)], [operand(total, "float64")])
index = rng.integers(0, 4, (5, 6))
case(
    "gather 1", [operand(x), operand(index, "int32")], [operand(np.take_along_axis(x, index, 1))])
source = f32(5, 6)
total = x.copy()
np.add.at(total, (np.arange(5)[:, None], index), source)
case("scatterAdd 1", [operand(x), operand(index, "int32"), operand(source)], [operand(total, "float64")])
case("cumulativeSum 0", [operand(x)], [operand(np.cumsum(x, 0), "float64")])
case("cumulativeSum 1", [operand(x)], [operand(np.cumsum(x, 1), "float64")])
mixed = np.array([3, np.nan, -np.inf, 1, np.inf, np.nan, 1, -0.0, 0, 2])
ascending = np.argsort(mixed, kind="stable")
case("sort ascending", [operand(mixed)], [operand(mixed[ascending]), operand(ascending, "int32")])
keys = np.where(np.isnan(mixed), -np.inf, np.where(np.isinf(mixed), -np.sign(mixed) * 1e300, -mixed))
descending = np.argsort(keys, kind="stable")
case("sort descending", [operand(mixed)], [operand(mixed[descending]), operand(descending, "int32")])
case("topK largest", [operand(mixed)], [operand(mixed[descending[:4]]), operand(descending[:4], "int32")])
case("topK smallest", [operand(mixed)], [operand(mixed[ascending[:4]]), operand(ascending[:4], "int32")])


# Random: Philox4x32-10 written out once more.
def philox(key, counter):
    x = [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(q >> 32) ^ x[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ x[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


key = 0x123456789ABCDEF0
words = [w for i in range(5) for w in philox(key, i)]
unit = np.array([(w >> 8) * 2.0**-24 for w in words])
case("random uniform", [], [operand(unit[:19])])
normals = []
for w0, w1 in zip(words[::2], words[1::2]):
    radius = math.sqrt(-2 * math.log(((w0 >> 8) + 1) * 2.0**-24))
    angle = 2 * math.pi * (w1 >> 8) * 2.0**-24
    normals += [radius * math.cos(angle), radius * math.sin(angle)]
case("random normal", [], [operand(0.5 + 2 * np.array(normals[:19]), "float64")])
case("random bernoulli", [], [operand((unit[:19] < np.float32(0.3)).astype(float))])

# Fused operations, through the bodies composed of primitives.
t = lambda array: torch.tensor(array)
x, weight, bias = f32(3, 4), f32(5, 4), f32(5)
case(
    "linear", [operand(x), operand(weight), operand(bias)],
    [operand(torch.tanh(F.linear(t(x), t(weight), t(bias))).numpy(), "float64")])
x, dy = f32(3, 5), f32(3, 5)
for name, function in {"softmax": F.softmax, "logSoftmax": F.log_softmax}.items():
    leaf = torch.tensor(x, requires_grad=True)
    y = function(leaf, dim=-1)
    y.backward(t(dy))
    case(name, [operand(x)], [operand(y.detach().numpy(), "float64")])
    case(
        f"{name}Backward", [operand(y.detach().numpy()), operand(dy)],
        [operand(leaf.grad.numpy(), "float64")])
targets, weights = np.array([1, -100, 4]), f32(5, low=0.2)
leaf = torch.tensor(x, requires_grad=True)
losses = F.cross_entropy(
    leaf, t(targets), weight=t(weights), reduction="none", label_smoothing=float(np.float32(0.1)))
losses.sum().backward()
case(
    "crossEntropy", [operand(x), operand(targets, "int32"), operand(weights)],
    [
        operand(losses.detach().numpy(), "float64"),
        operand(np.array([weights[1], 0, weights[4]])), operand(leaf.grad.numpy(), "float64"),
    ])
gain, shift = f32(5), f32(5)
leaf, g, s = (torch.tensor(v, requires_grad=True) for v in (x, gain, shift))
y = F.layer_norm(leaf, (5,), g, s, 1e-5)
y.backward(t(dy))
mean, rstd = x.mean(1), 1 / np.sqrt(x.var(1) + 1e-5)
case(
    "layerNorm", [operand(x), operand(gain), operand(shift)],
    [operand(y.detach().numpy(), "float64"), operand(mean, "float64"), operand(rstd, "float64")])
case(
    "layerNormBackward", [operand(x), operand(mean), operand(rstd), operand(dy), operand(gain)],
    [operand(v.grad.numpy(), "float64") for v in (leaf, g, s)])
case("sumOfSquares", [operand(x), operand(dy)], [operand(np.array((x**2).sum() + (dy**2).sum()), "float64")])

# The third step of PyTorch's optimizers.
optimizers = {
    "sgd": (torch.optim.SGD, dict(momentum=0.9, dampening=0.1, weight_decay=0.01), ["momentum_buffer"]),
    "sgd nesterov": (torch.optim.SGD, dict(momentum=0.9, nesterov=True), ["momentum_buffer"]),
    "adam": (torch.optim.Adam, dict(weight_decay=0.01), ["exp_avg", "exp_avg_sq"]),
    "adamw": (torch.optim.AdamW, dict(weight_decay=0.01), ["exp_avg", "exp_avg_sq"]),
    "rmsprop": (
        torch.optim.RMSprop, dict(momentum=0.9, centered=True),
        ["square_avg", "grad_avg", "momentum_buffer"]),
    "adagrad": (torch.optim.Adagrad, dict(), ["sum"]),
}
for name, (kind, options, states) in optimizers.items():
    parameter = torch.nn.Parameter(t(f32(6)))
    optimizer = kind([parameter], lr=0.05, **options)
    for step in range(3):
        gradient = f32(6)
        if step == 2:
            # The state as the test can hold it.
            with torch.no_grad():
                parameter.copy_(parameter.float().double())
                for state in states:
                    tensor = optimizer.state[parameter][state]
                    tensor.copy_(tensor.float().double())
            before = [parameter.detach().numpy().copy()] + [
                optimizer.state[parameter][state].numpy().copy() for state in states]
        parameter.grad = t(gradient)
        optimizer.step()
    after = [parameter.detach().numpy()] + [optimizer.state[parameter][s].numpy() for s in states]
    case(
        f"optimizerStep {name}", [operand(gradient)] + [operand(v) for v in before],
        [operand(v, "float64") for v in after])

path = pathlib.Path(__file__).with_name("primitives.json")
lines = ",\n".join(json.dumps(c) for c in cases)
path.write_text("[\n" + lines + "\n]\n")
print(len(cases), "cases,", path.stat().st_size, "bytes")
