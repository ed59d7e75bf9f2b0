"""Makes recurrent.json and ctc.json from PyTorch.

Run: python make_recurrent.py (needs torch). The files are committed; tests only read them.
"""
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = pathlib.Path(__file__).parent
torch.manual_seed(31)


def array(tensor):
    flat = tensor.detach().reshape(-1).tolist()
    return {"shape": list(tensor.shape), "values": [round(v, 9) for v in flat]}


def leaf(*shape):
    return torch.randn(shape).requires_grad_(True)


def backward(pairs, leaves, module):
    seeds = [torch.randn(out.shape) for out in pairs]
    torch.autograd.backward(pairs, seeds)
    return {
        "outputs": [array(out) for out in pairs], "seeds": [array(seed) for seed in seeds],
        "inputs": [array(x) for x in leaves], "gradients": [array(x.grad) for x in leaves],
        "state": {k: array(p) for k, p in module.named_parameters()},
        "stateGradients": {k: array(p.grad) for k, p in module.named_parameters()},
    }


def sequence(kind, steps=5, rows=3, size=4, hidden=3, layers=1, lengths=None, given=True, **options):
    nonlinearity = {"RNN relu": {"nonlinearity": "relu"}}.get(kind, {})
    module = getattr(nn, kind.split()[0])(size, hidden, layers, **nonlinearity, **options)
    first = options.get("batch_first", False)
    x = leaf(rows, steps, size) if first else leaf(steps, rows, size)
    directions = 2 if options.get("bidirectional") else 1
    states = [leaf(layers * directions, rows, hidden) for _ in range(2 if kind == "LSTM" else 1)]
    start = None if not given else tuple(states) if kind == "LSTM" else states[0]
    packed = x
    if lengths:
        packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=first, enforce_sorted=False)
    y, end = module(packed, start)
    if lengths:
        y, _ = pad_packed_sequence(y, batch_first=first, total_length=steps)
    ends = list(end) if kind == "LSTM" else [end]
    case = backward([y] + ends, [x] + (states if given else []), module)
    case.update({
        "name": f"{kind}, {steps}x{rows}x{size}->{hidden}, {layers} layers, {options}, lengths {lengths}"
                + ("" if given else ", no state"),
        "kind": kind, "inputSize": size, "hiddenSize": hidden, "layers": layers, "lengths": lengths,
        "bias": options.get("bias", True), "batchFirst": first, "bidirectional": directions == 2,
    })
    return case


def sequences():
    cases = []
    for kind in ["RNN", "RNN relu", "LSTM", "GRU"]:
        cases += [
            sequence(kind),
            sequence(kind, given=False, bias=False),
            sequence(kind, lengths=[5, 1, 3]),
            sequence(kind, layers=2, bidirectional=True, lengths=[2, 5, 4], batch_first=True),
            sequence(kind, layers=2, batch_first=True),
            sequence(kind, steps=1, rows=1, size=1, hidden=1),
            sequence(kind, steps=7, rows=9, size=5, hidden=19, bidirectional=True,
                     lengths=[7, 3, 1, 7, 6, 5, 2, 4, 7]),
        ]
    return cases


def cell(kind):
    nonlinearity = {"RNN relu": {"nonlinearity": "relu"}}.get(kind, {})
    module = getattr(nn, kind.split()[0] + "Cell")(4, 5, **nonlinearity)
    x = leaf(3, 4)
    states = [leaf(3, 5) for _ in range(2 if kind == "LSTM" else 1)]
    end = module(x, tuple(states) if kind == "LSTM" else states[0])
    ends = list(end) if kind == "LSTM" else [end]
    return {"kind": kind, **backward(ends, [x] + states, module)}


def embedding():
    module = nn.Embedding(7, 3, padding_idx=2)
    indices = torch.tensor([[0, 2, 6, 0], [2, 2, 5, 0]])
    case = backward([module(indices)], [], module)
    return {**case, "indices": array(indices.float())}


def attention():
    """Yang et al. 2016, written out."""
    module = nn.Module()
    module.projection = nn.Linear(4, 3)
    module.query = nn.Parameter(torch.randn(3))
    x = leaf(2, 5, 4)
    lengths = [5, 2]
    scores = torch.tanh(module.projection(x)) @ module.query
    scores = scores.masked_fill(torch.arange(5) >= torch.tensor(lengths)[:, None], -torch.inf)
    y = (torch.softmax(scores, 1)[..., None] * x).sum(1)
    return {**backward([y], [x], module), "lengths": lengths}


def ctc(name, steps, classes, targets, lengths, blank=0, zero=False):
    cases = []
    for reduction in ["none", "mean", "sum"]:
        logits = leaf(steps, len(targets), classes)
        flat = torch.tensor([label for target in targets for label in target], dtype=torch.long)
        loss = F.ctc_loss(
            F.log_softmax(logits, 2), flat, torch.tensor(lengths),
            torch.tensor([len(target) for target in targets]), blank=blank, reduction=reduction,
            zero_infinity=zero)
        seed = torch.rand(loss.shape) + 0.5
        loss.backward(seed)
        cases.append({
            "name": f"{name}, {reduction}", "targets": targets, "lengths": lengths, "blank": blank,
            "zeroInfinity": zero, "reduction": reduction, "logits": array(logits),
            "loss": array(loss), "seed": array(seed), "gradient": array(logits.grad),
        })
    return cases


def ctcs():
    return (
        ctc("one", 4, 3, [[1, 2]], [4])
        + ctc("repeats", 9, 4, [[1, 1, 2], [3], [2, 2, 2, 2]], [9, 9, 9])
        + ctc("lengths and another blank", 8, 5, [[0, 1], [2, 2, 3], [1]], [8, 6, 1], blank=4)
        + ctc("empty target", 5, 3, [[], [1, 2]], [5, 4])
        + ctc("impossible, zeroed", 3, 3, [[1, 1, 1], [1, 2]], [3, 3], zero=True)
    )


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=None, separators=(",", ":")) + "\n")


write("recurrent.json", {
    "sequences": sequences(), "cells": [cell(kind) for kind in ["RNN", "RNN relu", "LSTM", "GRU"]],
    "embedding": embedding(), "attention": attention(),
})
write("ctc.json", ctcs())
