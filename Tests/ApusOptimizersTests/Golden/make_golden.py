"""Makes optimizers.json from PyTorch: ten steps of each optimizer on given gradients.

Run: python make_golden.py (needs torch). The file is committed; tests only read it.
"""
import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
torch.manual_seed(21)
STEPS = 10


def case(name, kind, options, make, clip=None):
    start = [torch.randn(3, 4), torch.randn(5)]
    gradients = [[torch.randn(3, 4) * 2, torch.randn(5) * 2] for _ in range(STEPS)]
    parameters = [p.clone().requires_grad_(True) for p in start]
    optimizer = make(parameters)
    trajectory = []
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.clone()
        if clip:
            clip(parameters)
        optimizer.step()
        trajectory.append([p.detach().reshape(-1).tolist() for p in parameters])
    return {
        "name": name, "optimizer": kind, "options": options,
        "shapes": [list(p.shape) for p in start],
        "start": [p.reshape(-1).tolist() for p in start],
        "gradients": [[g.reshape(-1).tolist() for g in step] for step in gradients],
        "trajectory": trajectory,
    }


O = torch.optim
CASES = [
    case("sgd", "sgd", {"learningRate": 0.1}, lambda p: O.SGD(p, lr=0.1)),
    case("sgd, momentum, dampening and decay", "sgd",
         {"learningRate": 0.1, "momentum": 0.9, "dampening": 0.1, "weightDecay": 0.01},
         lambda p: O.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01)),
    case("sgd, nesterov", "sgd", {"learningRate": 0.05, "momentum": 0.8, "nesterov": 1},
         lambda p: O.SGD(p, lr=0.05, momentum=0.8, nesterov=True)),
    case("adam", "adam", {}, lambda p: O.Adam(p)),
    case("adam, betas and decay", "adam",
         {"learningRate": 0.01, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weightDecay": 0.1},
         lambda p: O.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    case("adamw", "adamw", {}, lambda p: O.AdamW(p)),
    case("adamw, strong decay", "adamw", {"learningRate": 0.05, "weightDecay": 0.3},
         lambda p: O.AdamW(p, lr=0.05, weight_decay=0.3)),
    case("rmsprop", "rmsprop", {}, lambda p: O.RMSprop(p)),
    case("rmsprop, centered, momentum and decay", "rmsprop",
         {"learningRate": 0.005, "alpha": 0.9, "centered": 1, "momentum": 0.7, "weightDecay": 0.02},
         lambda p: O.RMSprop(p, lr=0.005, alpha=0.9, centered=True, momentum=0.7, weight_decay=0.02)),
    case("rmsprop, momentum", "rmsprop", {"momentum": 0.5}, lambda p: O.RMSprop(p, momentum=0.5)),
    case("adagrad", "adagrad", {}, lambda p: O.Adagrad(p)),
    case("adagrad, decays", "adagrad",
         {"learningRate": 0.1, "learningRateDecay": 0.1, "weightDecay": 0.05,
          "initialAccumulator": 0.3},
         lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.05,
                             initial_accumulator_value=0.3)),
    case("sgd, clipped by norm", "sgd", {"learningRate": 0.1, "clipNorm": 1.5},
         lambda p: O.SGD(p, lr=0.1), lambda p: torch.nn.utils.clip_grad_norm_(p, 1.5)),
    case("adam, clipped by value", "adam", {"clipValue": 0.5}, lambda p: O.Adam(p),
         lambda p: torch.nn.utils.clip_grad_value_(p, 0.5)),
    case("sgd, norm below the limit", "sgd", {"learningRate": 0.1, "clipNorm": 1000},
         lambda p: O.SGD(p, lr=0.1), lambda p: torch.nn.utils.clip_grad_norm_(p, 1000)),
]
(HERE / "optimizers.json").write_text(json.dumps(CASES, separators=(",", ":")) + "\n")
