"""Makes schedules.json and penalties.json from PyTorch: the learning rate of every step under each
schedule, and trajectories under an L1 penalty and a limit on norms.

Run: python make_schedules.py (needs torch). The files are committed; tests only read them.
"""
import json
import pathlib
import warnings

import torch

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
S = torch.optim.lr_scheduler
RATE = 0.125  # exact in binary, so that float32 and float64 begin alike


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)


def warm(o, warmup):
    return S.LinearLR(o, start_factor=1 / (warmup + 1), total_iters=warmup)


def case(schedule, make, epochs=8, steps_per_epoch=5, warmup=0, per_step=False, after=False):
    """`per_step`: the scheduler counts steps, not epochs. `after`: it begins after the warm-up."""
    o = optimizer()
    total = epochs * steps_per_epoch
    if warmup and after:
        schedulers = [S.SequentialLR(o, [warm(o, warmup), make(o, total - warmup)], [warmup])]
        by_step = schedulers
        by_epoch = []
    else:
        main = make(o, total)
        by_step = [main] if per_step else []
        by_epoch = [] if per_step else [main]
        if warmup:
            # Two optimizers: the product of what each scheduler would give.
            other = optimizer()
            by_step = [warm(other, warmup)]
    rates = []
    for step in range(total):
        rate = o.param_groups[0]["lr"]
        if warmup and not after:
            rate *= other.param_groups[0]["lr"] / RATE
        rates.append(rate)
        o.step()
        for s in by_step:
            s.step()
        if (step + 1) % steps_per_epoch == 0:
            for s in by_epoch:
                s.step()
    return {"schedule": schedule, "steps": total, "stepsPerEpoch": steps_per_epoch,
            "warmup": warmup, "rates": rates}


def line(o, n):
    return S.LinearLR(o, start_factor=1, end_factor=0, total_iters=n)


def cosine(o, n):
    return S.CosineAnnealingLR(o, T_max=n)


schedules = [
    case("constant", lambda o, n: S.ConstantLR(o, factor=1)),
    case("constant", lambda o, n: S.ConstantLR(o, factor=1), warmup=7),
    case("linear", line, per_step=True),
    case("linear", line, warmup=6, per_step=True, after=True),
    case("cosine", cosine, per_step=True),
    case("cosine", cosine, warmup=5, per_step=True, after=True),
    case("step:3,0.5", lambda o, n: S.StepLR(o, step_size=3, gamma=0.5)),
    case("step:2", lambda o, n: S.StepLR(o, step_size=2)),
    case("step:1,0.7", lambda o, n: S.StepLR(o, step_size=1, gamma=0.7), warmup=8),
    case("multistep:2,5,0.1", lambda o, n: S.MultiStepLR(o, milestones=[2, 5], gamma=0.1)),
    case("exponential:0.9", lambda o, n: S.ExponentialLR(o, gamma=0.9)),
    case("onecycle", lambda o, n: S.OneCycleLR(o, RATE, total_steps=n, cycle_momentum=False),
         per_step=True),
    case("onecycle:0.5", lambda o, n: S.OneCycleLR(o, 0.5, total_steps=n, cycle_momentum=False),
         per_step=True, epochs=3, steps_per_epoch=11),
    case("onecycle:2", lambda o, n: S.OneCycleLR(o, 2.0, total_steps=n, cycle_momentum=False),
         per_step=True, epochs=1, steps_per_epoch=4),
]

FIGURES = [2, 1.5, 1.6, 1.4999, 1.7, 1.7, 1.2, 1.3, 1.19999, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.0, 1.1]


def plateau(factor, patience, mode, figures, rate=RATE):
    o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    s = S.ReduceLROnPlateau(o, mode=mode, factor=factor, patience=patience)
    rates = []
    for figure in figures:
        s.step(figure)
        rates.append(o.param_groups[0]["lr"])
    return {"factor": factor, "patience": patience, "isSmallerBetter": mode == "min",
            "learningRate": rate, "figures": figures, "rates": rates}


plateaus = [
    plateau(0.1, 2, "min", FIGURES), plateau(0.5, 0, "min", FIGURES),
    plateau(0.5, 1, "max", [-f for f in FIGURES]),
    plateau(0.5, 1, "max", [0.5, 0.6, 0.60001, 0.6, 0.7, 0.7, 0.7, 0.69]),
    plateau(0.1, 0, "min", [1.0] * 9, rate=2.0 ** -20),
]
(HERE / "schedules.json").write_text(
    json.dumps({"schedules": schedules, "plateaus": plateaus}, separators=(",", ":")) + "\n")


def penalised(lam, limit, steps=8):
    torch.manual_seed(5)
    shapes = [[4, 6], [4], [3, 2, 2, 2]]
    parameters = [torch.randn(s) for s in shapes]
    parameters[0][1] *= 0.01  # a row within the limit
    parameters[0][2, 3] = 0  # sign(0) is 0
    start = [p.reshape(-1).tolist() for p in parameters]
    parameters = [p.requires_grad_(True) for p in parameters]
    gradients = [[torch.randn(s) * 0.5 for s in shapes] for _ in range(steps)]
    o = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    trajectory = []
    for step in gradients:
        loss = sum((p * g).sum() for p, g in zip(parameters, step))
        if lam:
            loss = loss + lam * sum(p.abs().sum() for p in parameters if p.dim() > 1)
        o.zero_grad()
        loss.backward()
        o.step()
        if limit:
            with torch.no_grad():
                for p in parameters:
                    if p.dim() > 1:
                        p.copy_(torch.renorm(p, 2, 0, limit))
        trajectory.append([p.detach().reshape(-1).tolist() for p in parameters])
    return {"lambda": lam, "limit": limit, "shapes": shapes, "start": start,
            "gradients": [[g.reshape(-1).tolist() for g in step] for step in gradients],
            "trajectory": trajectory}


(HERE / "penalties.json").write_text(json.dumps(
    [penalised(0.3, None), penalised(None, 1.25), penalised(0.05, 0.75)],
    separators=(",", ":")) + "\n")
