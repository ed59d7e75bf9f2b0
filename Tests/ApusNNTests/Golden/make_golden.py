"""Makes layers.json, losses.json and initializers.json from PyTorch.

Run: python make_golden.py (needs torch). The files are committed; tests only read them.
"""
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
torch.manual_seed(20)


def array(tensor):
    flat = tensor.detach().reshape(-1)
    values = flat.tolist() if tensor.dtype.is_floating_point else [int(v) for v in flat]
    return {"shape": list(tensor.shape), "values": [round(v, 9) if isinstance(v, float) else v for v in values]}


def layer_case(name, kind, module, shape, attributes=None, spread=2.0):
    x = (torch.randn(shape) * spread).requires_grad_(True)
    y = module(x)
    dy = torch.randn(y.shape)
    y.backward(dy)
    return {
        "name": name, "type": kind, "attributes": attributes or {},
        "input": array(x), "output": array(y), "outputGradient": array(dy),
        "inputGradient": array(x.grad),
        "state": {k: array(p) for k, p in module.named_parameters()},
        "stateGradients": {k: array(p.grad) for k, p in module.named_parameters()},
    }


def layers():
    norm = nn.LayerNorm(6, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm2 = nn.LayerNorm([3, 4])
    nn.init.normal_(norm2.weight)
    nn.init.normal_(norm2.bias)
    return [
        layer_case("linear", "Linear", nn.Linear(7, 5), (4, 7), {"outFeatures": 5}),
        layer_case("linear without bias", "Linear", nn.Linear(7, 3, bias=False), (2, 7),
                   {"outFeatures": 3, "bias": False}),
        layer_case("linear on three axes", "Linear", nn.Linear(4, 6), (2, 3, 4), {"outFeatures": 6}),
        layer_case("linear of one", "Linear", nn.Linear(1, 1), (1, 1), {"outFeatures": 1}),
        layer_case("sigmoid", "Sigmoid", nn.Sigmoid(), (3, 9)),
        layer_case("tanh", "Tanh", nn.Tanh(), (3, 9)),
        layer_case("relu", "ReLU", nn.ReLU(), (3, 9)),
        layer_case("leaky relu", "LeakyReLU", nn.LeakyReLU(), (3, 9)),
        layer_case("leaky relu 0.2", "LeakyReLU", nn.LeakyReLU(0.2), (3, 9), {"negativeSlope": 0.2}),
        layer_case("elu", "ELU", nn.ELU(), (3, 9)),
        layer_case("elu 0.7", "ELU", nn.ELU(0.7), (3, 9), {"alpha": 0.7}),
        layer_case("gelu", "GELU", nn.GELU(), (3, 9)),
        layer_case("gelu tanh", "GELU", nn.GELU(approximate="tanh"), (3, 9), {"approximate": True}),
        layer_case("silu", "SiLU", nn.SiLU(), (3, 9)),
        layer_case("softplus", "Softplus", nn.Softplus(), (3, 9), spread=15.0),
        layer_case("softplus beta 2", "Softplus", nn.Softplus(2.0, 5.0), (3, 9),
                   {"beta": 2, "threshold": 5}),
        layer_case("softmax", "Softmax", nn.Softmax(-1), (4, 6)),
        layer_case("softmax of axis 1", "Softmax", nn.Softmax(1), (2, 3, 4), {"axis": 1}),
        layer_case("log softmax", "LogSoftmax", nn.LogSoftmax(-1), (4, 6), spread=20.0),
        layer_case("layer norm", "LayerNorm", norm, (5, 6), {"epsilon": 1e-3}),
        layer_case("layer norm of two axes", "LayerNorm", norm2, (2, 3, 4),
                   {"normalizedShape": [3, 4]}),
        layer_case("layer norm without parameters", "LayerNorm",
                   nn.LayerNorm(6, elementwise_affine=False), (5, 6), {"elementwiseAffine": False}),
        layer_case("flatten", "Flatten", nn.Flatten(), (2, 3, 4)),
        layer_case("flatten later", "Flatten", nn.Flatten(2), (2, 3, 4, 2), {"startAxis": 2}),
        layer_case("identity", "Identity", nn.Identity(), (2, 3)),
    ]


def loss_case(name, loss, x, target, options=None, extras=None, **arguments):
    result = []
    for reduction in ["mean", "sum", "none"]:
        leaf = x.clone().requires_grad_(True)
        value = loss(leaf, target, reduction=reduction, **arguments)
        value.sum().backward()
        result.append({
            "name": f"{name}, {reduction}", "loss": name.split(",")[0], "reduction": reduction,
            "input": array(x), "target": array(target), "options": options or {},
            "extras": {k: array(v) for k, v in (extras or {}).items()},
            "value": array(value), "gradient": array(leaf.grad),
        })
    return result


def losses():
    logits, targets = torch.randn(6, 5) * 3, torch.tensor([0, 4, 2, 2, 1, 3])
    weight = torch.rand(5) + 0.2
    ignored = torch.tensor([0, -100, 2, 2, -100, 3])
    image, labels = torch.randn(2, 3, 4), torch.randint(0, 3, (2, 4))
    binary, truth = torch.randn(4, 3) * 4, torch.rand(4, 3).round()
    positive, factor = torch.rand(3) * 3, torch.rand(3)
    a, b = torch.randn(4, 3) * 2, torch.randn(4, 3) * 2
    cases = loss_case("crossEntropy", F.cross_entropy, logits, targets)
    cases += loss_case("crossEntropy, weighted", F.cross_entropy, logits, targets,
                       extras={"weight": weight}, weight=weight)
    cases += loss_case("crossEntropy, smoothed", F.cross_entropy, logits, targets,
                       {"labelSmoothing": 0.1}, label_smoothing=0.1)
    cases += loss_case("crossEntropy, weighted and smoothed", F.cross_entropy, logits, targets,
                       {"labelSmoothing": 0.3}, {"weight": weight}, weight=weight,
                       label_smoothing=0.3)
    cases += loss_case("crossEntropy, ignoring", F.cross_entropy, logits, ignored,
                       extras={"weight": weight}, weight=weight)
    cases += loss_case("crossEntropy, more axes", F.cross_entropy, image, labels)
    bce = F.binary_cross_entropy_with_logits
    cases += loss_case("binaryCrossEntropyWithLogits", bce, binary, truth)
    cases += loss_case("binaryCrossEntropyWithLogits, weighted", bce, binary, truth,
                       extras={"weight": factor, "positiveWeight": positive}, weight=factor,
                       pos_weight=positive)
    cases += loss_case("binaryCrossEntropyWithLogits, far", bce, binary * 30, truth)
    cases += loss_case("meanSquaredError", F.mse_loss, a, b)
    cases += loss_case("meanAbsoluteError", F.l1_loss, a, b)
    cases += loss_case("huber", F.huber_loss, a, b)
    cases += loss_case("huber, delta", F.huber_loss, a, b, {"delta": 0.6}, delta=0.6)
    return cases


def initializers():
    shape = (400, 300)
    functions = {
        "xavierUniform": lambda t: nn.init.xavier_uniform_(t, gain=1.5),
        "xavierNormal": lambda t: nn.init.xavier_normal_(t),
        "kaimingUniform": lambda t: nn.init.kaiming_uniform_(t, nonlinearity="relu"),
        "kaimingUniformFanOut": lambda t: nn.init.kaiming_uniform_(t, a=0.3, mode="fan_out"),
        "kaimingNormal": lambda t: nn.init.kaiming_normal_(t, nonlinearity="relu"),
        "orthogonal": lambda t: nn.init.orthogonal_(t, gain=2.0),
        "uniform": lambda t: nn.init.uniform_(t, -0.5, 0.25),
        "normal": lambda t: nn.init.normal_(t, 0.3, 0.7),
        "linearDefault": lambda t: t.copy_(nn.Linear(shape[1], shape[0]).weight),
        "convolution": lambda t: nn.init.xavier_uniform_(t),
    }
    result = {}
    for name, function in functions.items():
        size = (100, 30, 5, 8) if name == "convolution" else shape
        tensor = torch.empty(size)
        with torch.no_grad():
            function(tensor)
        result[name] = {
            "shape": list(size), "mean": tensor.mean().item(), "deviation": tensor.std().item(),
            "minimum": tensor.min().item(), "maximum": tensor.max().item(),
        }
    return result


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=None, separators=(",", ":")) + "\n")


write("layers.json", layers())
write("losses.json", losses())
write("initializers.json", initializers())
