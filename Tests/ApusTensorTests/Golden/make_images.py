"""Makes images.json: operations on images by PyTorch in float64, forward and all gradients.

Run: python make_images.py (needs torch). The file is committed; tests only read it.
"""
import json
import pathlib

import torch
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
torch.manual_seed(31)
ACTIVATIONS = {
    "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "silu": F.silu, "gelu": F.gelu,
    "elu": F.elu,
}


def draw(shape, unique=False):
    """Multiples of 1/16, exact in every float and short in JSON."""
    if unique:
        # Distinct values: the largest of a window is one.
        count = int(torch.tensor(shape).prod())
        return ((torch.randperm(count) - count // 2) / 16).reshape(shape).double()
    return (torch.randint(-24, 25, shape) / 16).double()


def array(tensor):
    values = tensor.detach().reshape(-1).tolist()
    return {"shape": list(tensor.shape), "values": [float(f"{v:.8g}") for v in values]}


def case(name, operation, function, inputs, text=None, **numbers):
    """`function` of watched tensors, with the gradient of each."""
    watched = [x.clone().requires_grad_(True) for x in inputs]
    y = function(*watched)
    dy = draw(y.shape)
    y.backward(dy)
    return {
        "name": name, "operation": operation, "text": text or "",
        "numbers": {k: list(v) if isinstance(v, (list, tuple)) else [int(v)] for k, v in numbers.items()},
        "inputs": [array(x) for x in inputs], "output": array(y), "outputGradient": array(dy),
        "inputGradients": [array(x.grad) for x in watched],
    }


def conv2d(name, x, o, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=True,
           activation=None, addend=False):
    inputs = [draw(x), draw((o, x[1] // groups, *kernel))] + ([draw((o,))] if bias else [])
    def convolved(x, w, *rest):
        b = rest[0] if bias else None
        uneven = padding != "same" and len(padding) == 4
        if uneven:
            x = F.pad(x, (padding[2], padding[3], padding[0], padding[1]))
        inner = "same" if padding == "same" else 0 if uneven else tuple(padding)
        return F.conv2d(x, w, b, stride, inner, dilation, groups)
    if addend:
        inputs.append(draw(convolved(*inputs).shape))
    def function(*tensors):
        y = convolved(*tensors)
        if addend:
            y = y + tensors[-1]
        return ACTIVATIONS[activation](y) if activation else y
    sides = [-1] if padding == "same" else padding
    return case(name, "conv2d", function, inputs, activation, stride=stride, padding=sides,
                dilation=dilation, groups=groups, bias=bias, addend=addend)


def conv1d(name, x, o, kernel, stride=1, padding=0, dilation=1, groups=1):
    inputs = [draw(x), draw((o, x[1] // groups, kernel)), draw((o,))]
    sides = [-1] if padding == "same" else [padding]
    return case(name, "conv1d",
                lambda x, w, b: F.conv1d(x, w, b, stride, padding, dilation, groups), inputs,
                stride=stride, padding=sides, dilation=dilation, groups=groups)


def transposed2d(name, x, o, kernel, stride=(1, 1), padding=(0, 0), extra=(0, 0), dilation=(1, 1),
                 groups=1):
    inputs = [draw(x), draw((x[1], o // groups, *kernel)), draw((o,))]
    return case(name, "convTranspose2d",
                lambda x, w, b: F.conv_transpose2d(x, w, b, stride, padding, extra, groups, dilation),
                inputs, stride=stride, padding=padding, outputPadding=extra, dilation=dilation,
                groups=groups)


def transposed1d(name, x, o, kernel, stride=1, padding=0, extra=0, dilation=1, groups=1):
    inputs = [draw(x), draw((x[1], o // groups, kernel)), draw((o,))]
    return case(name, "convTranspose1d",
                lambda x, w, b: F.conv_transpose1d(x, w, b, stride, padding, extra, groups, dilation),
                inputs, stride=stride, padding=padding, outputPadding=extra, dilation=dilation,
                groups=groups)


def max_pool(name, x, kernel, stride=None, padding=0, dilation=1, ceil=False):
    line = len(x) == 3
    stride = stride or kernel
    function = F.max_pool1d if line else F.max_pool2d
    pair = (lambda v: [v]) if line else (lambda v: [v, v] if isinstance(v, int) else v)
    result = case(name, "maxPool1d" if line else "maxPool2d",
                  lambda x: function(x, kernel, stride, padding, dilation, ceil), [draw(x, True)],
                  kernel=pair(kernel), stride=pair(stride), padding=pair(padding),
                  dilation=pair(dilation), ceil=ceil)
    if not line:
        x = torch.tensor(result["inputs"][0]["values"]).reshape(x).double()
        _, indices = F.max_pool2d(x, kernel, stride, padding, dilation, ceil, return_indices=True)
        result["indices"] = array(indices.double())
    return result


def average_pool(name, x, kernel, stride=None, padding=0, ceil=False, counts=True):
    line = len(x) == 3
    stride = stride or kernel
    function = F.avg_pool1d if line else F.avg_pool2d
    pair = (lambda v: [v]) if line else (lambda v: [v, v] if isinstance(v, int) else v)
    return case(name, "avgPool1d" if line else "avgPool2d",
                lambda x: function(x, kernel, stride, padding, ceil, counts), [draw(x)],
                kernel=pair(kernel), stride=pair(stride), padding=pair(padding), ceil=ceil,
                counts=counts)


def adaptive(x, size):
    return case(f"adaptive {x[2:]} to {size}", "adaptiveAvgPool2d",
                lambda x: F.adaptive_avg_pool2d(x, size), [draw(x)], size=size)


def interpolate(x, size, mode, corners=None):
    name = f"{mode} {x[2:]} to {size}" + (" with corners" if corners else "")
    return case(name, "interpolated",
                lambda x: F.interpolate(x, size, mode=mode, align_corners=corners), [draw(x)], mode,
                size=size, corners=bool(corners))


def batch_norm(name, x, affine=True, activation=None, addend=False, training=True, steps=3):
    """Several steps of training move the running statistics; the last is compared throughout."""
    channels = x[1]
    mean, variance = torch.zeros(channels).double(), torch.ones(channels).double()
    earlier = [draw(x) for _ in range(steps)]
    for batch in earlier:
        F.batch_norm(batch, mean, variance, training=True, momentum=0.25, eps=1e-3)
    inputs = [draw(x)] + ([draw((channels,)), draw((channels,))] if affine else [])
    if addend:
        inputs.append(draw(x))
    def function(x, *rest):
        weight, bias = rest[:2] if affine else (None, None)
        y = F.batch_norm(x, mean, variance, weight, bias, training, 0.25, 1e-3)
        if addend:
            y = y + rest[-1]
        return ACTIVATIONS[activation](y) if activation else y
    result = case(name, "batchNorm", function, inputs, activation, affine=affine, addend=addend,
                  training=training)
    result["earlier"] = [array(batch) for batch in earlier]
    result["running"] = [array(mean), array(variance)]
    return result


def group_norm(name, x, groups, affine=True):
    inputs = [draw(x)] + ([draw((x[1],)), draw((x[1],))] if affine else [])
    return case(name, "groupNorm", lambda x, *rest: F.group_norm(x, groups, *rest, eps=1e-3), inputs,
                groups=groups)


def pad(name, x, widths, mode):
    flat = [v for pair in reversed(widths) for v in pair]
    value = {"value": 1.5} if mode == "constant" else {}
    return case(name, "padded", lambda x: F.pad(x, flat, mode=mode, **value), [draw(x)], mode,
                widths=[v for pair in widths for v in pair])


CASES = [
    conv2d("conv 1x1", (2, 5, 3, 4), 7, (1, 1)),
    conv2d("conv 3x3", (2, 3, 5, 6), 4, (3, 3), padding=(1, 1), activation="relu"),
    conv2d("conv same", (1, 2, 5, 4), 3, (4, 3), padding="same", bias=False),
    conv2d("conv same dilated", (1, 2, 6, 5), 3, (2, 4), padding="same", dilation=(3, 1)),
    conv2d("conv strided", (2, 3, 7, 8), 4, (3, 2), stride=(2, 3), padding=(1, 0), bias=False),
    conv2d("conv uneven padding", (1, 2, 4, 5), 3, (3, 3), padding=(2, 0, 1, 3)),
    conv2d("conv stride beyond kernel", (2, 2, 8, 9), 3, (2, 1), stride=(3, 4)),
    conv2d("conv kernel beyond image", (1, 2, 2, 3), 3, (5, 4), padding=(2, 1)),
    conv2d("conv dilated", (2, 3, 9, 8), 4, (3, 2), dilation=(2, 3), padding=(2, 1), activation="tanh"),
    conv2d("conv groups", (2, 6, 4, 5), 4, (3, 3), padding=(1, 1), groups=2, activation="silu"),
    conv2d("conv depthwise", (2, 5, 5, 4), 5, (3, 3), padding=(1, 1), groups=5, activation="sigmoid"),
    conv2d("conv depthwise multiplied", (1, 3, 5, 6), 9, (2, 3), stride=(2, 1), groups=3),
    conv2d("conv with addend", (2, 3, 4, 4), 5, (3, 3), padding=(1, 1), activation="relu", addend=True),
    conv2d("conv addend alone", (1, 2, 4, 4), 3, (2, 2), bias=False, activation="gelu", addend=True),
    conv2d("conv 7x7", (1, 2, 9, 8), 3, (7, 7), stride=(2, 2), padding=(3, 3), activation="elu"),
    conv2d("conv of many channels", (1, 19, 2, 3), 17, (3, 1), padding=(1, 0)),
    conv1d("conv 1d", (2, 3, 9), 4, 3),
    conv1d("conv 1d strided", (2, 4, 10), 6, 5, stride=2, padding=3, dilation=2, groups=2),
    conv1d("conv 1d same", (1, 4, 7), 4, 4, padding="same", groups=4),
    transposed2d("transposed", (2, 3, 3, 4), 5, (3, 2)),
    transposed2d("transposed strided", (2, 4, 3, 2), 6, (3, 3), (2, 2), (1, 1), (1, 1), groups=2),
    transposed2d("transposed dilated", (1, 2, 3, 3), 3, (2, 3), (1, 2), (0, 2), (2, 1), (3, 2)),
    transposed2d("transposed depthwise", (1, 4, 4, 3), 4, (4, 4), (2, 2), (1, 1), groups=4),
    transposed1d("transposed 1d", (2, 3, 5), 4, 4, 2, 1, 1),
    transposed1d("transposed 1d groups", (1, 4, 4), 4, 3, 3, 0, 2, 2, 2),
    max_pool("max 2x2", (2, 3, 6, 5), 2),
    max_pool("max 3x3 overlapping", (2, 2, 7, 6), 3, 2, 1),
    max_pool("max uneven", (1, 2, 7, 9), (2, 3), (1, 2), (1, 0)),
    max_pool("max dilated", (1, 2, 8, 9), (3, 2), (2, 1), (1, 1), (2, 3)),
    max_pool("max ceiling", (2, 2, 6, 7), (3, 2), (2, 4), (0, 1), ceil=True),
    max_pool("max ceiling dropping one", (1, 2, 5, 5), 1, 3, ceil=True),
    max_pool("max 1d", (2, 3, 11), 3, 2, 1),
    max_pool("max 1d ceiling", (2, 2, 10), 2, 3, 1, 2, ceil=True),
    average_pool("average 2x2", (2, 3, 6, 5), 2),
    average_pool("average padded", (2, 2, 5, 6), (3, 2), (2, 1), (1, 1)),
    average_pool("average without padding", (2, 2, 5, 6), (3, 2), (2, 1), (1, 1), counts=False),
    average_pool("average ceiling", (1, 2, 6, 8), (3, 3), (2, 3), (1, 1), ceil=True),
    average_pool("average ceiling without padding", (1, 2, 6, 8), 3, (2, 3), (1, 0), True, False),
    average_pool("average stride beyond kernel", (1, 2, 7, 8), 2, 3, ceil=True),
    average_pool("average 1d", (2, 2, 9), 4, 2, 2),
    average_pool("average 1d ceiling", (2, 2, 10), 3, 2, 1, True, False),
    adaptive((2, 3, 5, 7), (1, 1)), adaptive((2, 2, 5, 7), (2, 3)), adaptive((1, 2, 3, 2), (5, 4)),
    adaptive((1, 2, 6, 8), (3, 8)),
    interpolate((2, 2, 3, 4), (6, 8), "nearest"), interpolate((1, 2, 7, 5), (3, 11), "nearest"),
    interpolate((2, 2, 3, 4), (6, 8), "bilinear", False), interpolate((1, 2, 7, 5), (3, 11), "bilinear", False),
    interpolate((1, 2, 4, 3), (1, 9), "bilinear", False), interpolate((2, 2, 3, 4), (6, 8), "bilinear", True),
    interpolate((1, 2, 7, 5), (3, 11), "bilinear", True), interpolate((1, 2, 4, 3), (1, 9), "bilinear", True),
    interpolate((1, 2, 1, 1), (2, 3), "bilinear", True),
    batch_norm("batch norm", (4, 3, 3, 2)), batch_norm("batch norm plain", (6, 5), affine=False),
    batch_norm("batch norm of sequences", (3, 4, 5), activation="silu"),
    batch_norm("batch norm residual", (2, 3, 4, 3), activation="relu", addend=True),
    batch_norm("batch norm plain residual", (2, 2, 3, 3), False, "tanh", True),
    batch_norm("batch norm of one image", (1, 5, 2, 3), activation="gelu"),
    batch_norm("batch norm evaluated", (2, 3, 2, 3), training=False),
    batch_norm("batch norm evaluated residual", (2, 3, 2, 3), True, "relu", True, training=False),
    batch_norm("batch norm evaluated plain", (3, 4), False, "sigmoid", training=False),
    group_norm("group norm", (2, 6, 3, 2), 3), group_norm("instance norm", (2, 4, 3, 3), 4),
    group_norm("group norm of one group", (3, 4), 1), group_norm("group norm plain", (2, 4, 5), 2, False),
    pad("pad constant", (2, 3, 4), [(1, 2), (0, 3)], "constant"),
    pad("pad reflect", (1, 2, 3, 4), [(2, 1), (3, 2)], "reflect"),
    pad("pad replicate", (1, 2, 3, 2), [(1, 4), (2, 0)], "replicate"),
    pad("pad circular", (1, 2, 3, 4), [(3, 1), (2, 4)], "circular"),
    pad("pad a sequence", (2, 2, 5), [(4, 3)], "reflect"),
    # Windows larger than the padded input, at the end so that the draws before stay.
    max_pool("max ceiling larger than the input", (2, 3, 2, 2), 3, 2, ceil=True),
    max_pool("max ceiling dilated beyond the input", (1, 2, 2, 3), (1, 4), 4, (0, 1), (1, 2), ceil=True),
    average_pool("average ceiling larger than the input", (2, 2, 1, 6), 2, 4, ceil=True),
    average_pool("average ceiling beyond padding", (1, 2, 3, 1), (5, 4), (3, 4), (0, 1), ceil=True),
    average_pool("average ceiling beyond padding uncounted", (1, 2, 3, 1), (5, 4), (3, 4), (0, 1), True, False),
]

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES)
(HERE / "images.json").write_text("[\n" + lines + "\n]\n")
