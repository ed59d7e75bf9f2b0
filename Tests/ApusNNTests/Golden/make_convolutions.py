"""Makes convolutions.json (layers on images) and residual.json (whole networks) from PyTorch.

Run: python make_convolutions.py (needs torch). The files are committed; tests only read them.
"""
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
torch.manual_seed(21)


def array(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{v:.8g}") for v in tensor.detach().reshape(-1).tolist()]}


def case(name, kind, module, shape, attributes=None):
    """Training twice (running statistics move), then evaluation; gradients of the second pass."""
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)):
                parameter.copy_(torch.randn(parameter.shape))
    state = {k: array(v) for k, v in module.state_dict().items() if k != "num_batches_tracked"}
    first = torch.randn(shape) * 2 + 0.5
    x = (torch.randn(shape) * 1.5 - 0.3).requires_grad_(True)
    module.train()
    module(first)
    y = module(x)
    dy = torch.randn(y.shape)
    y.backward(dy)
    parameters = dict(module.named_parameters())
    after = {k: array(v) for k, v in module.state_dict().items()
             if k not in parameters and k != "num_batches_tracked"}
    module.eval()
    result = {
        "name": name, "type": kind, "attributes": attributes or {}, "state": state,
        "input": array(x), "output": array(y), "outputGradient": array(dy),
        "inputGradient": array(x.grad),
        "stateGradients": {k: array(p.grad) for k, p in parameters.items()},
    }
    if after:
        result.update({"first": array(first), "statistics": after, "evaluated": array(module(x))})
    return result


def conv2d(name, i, o, kernel, shape, **options):
    names = {"padding_mode": "paddingMode"}
    attributes = {"outChannels": o, "kernelSize": kernel}
    for key, value in options.items():
        attributes[names.get(key, key)] = list(value) if isinstance(value, tuple) else value
    return case(name, "Conv2d", nn.Conv2d(i, o, kernel, **options), shape, attributes)


def conv1d(name, i, o, kernel, shape, **options):
    names = {"padding_mode": "paddingMode"}
    attributes = {"outChannels": o, "kernelSize": kernel}
    attributes.update({names.get(key, key): value for key, value in options.items()})
    return case(name, "Conv1d", nn.Conv1d(i, o, kernel, **options), shape, attributes)


def transposed(name, kind, i, o, kernel, shape, **options):
    names = {"output_padding": "outputPadding"}
    attributes = {"outChannels": o, "kernelSize": list(kernel) if isinstance(kernel, tuple) else kernel}
    for key, value in options.items():
        attributes[names.get(key, key)] = list(value) if isinstance(value, tuple) else value
    return case(name, kind, getattr(nn, kind)(i, o, kernel, **options), shape, attributes)


def pool(name, kind, module, shape, **attributes):
    return case(name, kind, module, shape, attributes)


class Shortcut(nn.Module):
    """Option A of He et al. 2016, as networks for CIFAR have it."""

    def __init__(self, channels, stride):
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x):
        missing = self.channels - x.shape[1]
        return F.pad(x[:, :, ::self.stride, ::self.stride],
                     (0, 0, 0, 0, missing // 2, missing - missing // 2))


def layers():
    return [
        conv2d("conv 3x3", 3, 4, 3, (2, 3, 6, 5)),
        conv2d("conv padded", 2, 5, 3, (2, 2, 5, 7), padding=1),
        conv2d("conv strided", 3, 4, 3, (2, 3, 7, 8), stride=2, padding=1),
        conv2d("conv of two sizes", 2, 3, (3, 2), (1, 2, 7, 6), stride=(2, 1), padding=(1, 0)),
        conv2d("conv dilated", 2, 3, 3, (2, 2, 9, 8), dilation=2, padding=2),
        conv2d("conv dilated in one axis", 1, 2, 3, (2, 1, 8, 6), dilation=(3, 1)),
        conv2d("conv grouped", 4, 6, 3, (2, 4, 5, 5), groups=2, padding=1),
        conv2d("conv depthwise", 4, 4, 3, (2, 4, 6, 6), groups=4, padding=1, bias=False),
        conv2d("conv depthwise, two each", 3, 6, 3, (1, 3, 6, 5), groups=3, stride=2),
        conv2d("conv 1x1", 5, 3, 1, (2, 5, 4, 3), bias=False),
        conv2d("conv 1x1 strided", 3, 4, 1, (2, 3, 5, 5), stride=2),
        conv2d("conv same", 2, 3, (4, 3), (2, 2, 6, 5), padding="same"),
        conv2d("conv same dilated", 1, 2, 2, (1, 1, 6, 5), padding="same", dilation=3),
        conv2d("conv 5x5 on 5x5", 2, 3, 5, (3, 2, 5, 5)),
        conv2d("conv reflect", 2, 3, 3, (1, 2, 5, 6), padding=(2, 1), padding_mode="reflect"),
        conv2d("conv replicate", 2, 3, 3, (1, 2, 5, 4), padding=2, padding_mode="replicate"),
        conv2d("conv circular", 2, 3, 3, (1, 2, 4, 5), padding=1, stride=2, padding_mode="circular"),
        conv2d("conv same reflect", 1, 2, (4, 3), (1, 1, 6, 5), padding="same", padding_mode="reflect"),
        conv1d("conv1d", 3, 4, 3, (2, 3, 9)),
        conv1d("conv1d strided, dilated", 2, 4, 3, (2, 2, 14), stride=2, dilation=2, padding=3),
        conv1d("conv1d grouped", 4, 4, 5, (1, 4, 9), groups=2, padding=2, bias=False),
        conv1d("conv1d same", 2, 3, 4, (2, 2, 7), padding="same"),
        conv1d("conv1d circular", 2, 2, 3, (1, 2, 6), padding=1, padding_mode="circular"),
        transposed("transposed", "ConvTranspose2d", 3, 2, 3, (2, 3, 4, 5)),
        transposed("transposed strided", "ConvTranspose2d", 2, 3, 3, (2, 2, 4, 3), stride=2,
                   padding=1, output_padding=1),
        transposed("transposed of two sizes", "ConvTranspose2d", 2, 3, (2, 4), (1, 2, 3, 4),
                   stride=(1, 2), padding=(0, 1), bias=False),
        transposed("transposed grouped, dilated", "ConvTranspose2d", 4, 6, 3, (1, 4, 4, 4), groups=2,
                   dilation=2, padding=1),
        transposed("transposed1d", "ConvTranspose1d", 3, 2, 4, (2, 3, 5), stride=3, padding=1,
                   output_padding=2),
        pool("max pool", "MaxPool2d", nn.MaxPool2d(2), (2, 3, 6, 5), kernelSize=2),
        pool("max pool overlapping", "MaxPool2d", nn.MaxPool2d(3, 2, 1), (2, 2, 7, 8), kernelSize=3,
             stride=2, padding=1),
        pool("max pool ceil", "MaxPool2d", nn.MaxPool2d(3, 2, ceil_mode=True), (2, 2, 6, 8),
             kernelSize=3, stride=2, ceilMode=True),
        pool("max pool dilated", "MaxPool2d", nn.MaxPool2d((2, 3), (2, 1), dilation=2), (1, 2, 8, 9),
             kernelSize=[2, 3], stride=[2, 1], dilation=2),
        pool("max pool 1d", "MaxPool1d", nn.MaxPool1d(3, 2, 1), (2, 3, 8), kernelSize=3, stride=2,
             padding=1),
        pool("average pool", "AvgPool2d", nn.AvgPool2d(2), (2, 3, 6, 5), kernelSize=2),
        pool("average pool padded", "AvgPool2d", nn.AvgPool2d(3, 2, 1), (2, 2, 7, 6), kernelSize=3,
             stride=2, padding=1),
        pool("average pool of what is there", "AvgPool2d",
             nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 2, 7, 6), kernelSize=3, stride=2,
             padding=1, countIncludePad=False),
        pool("average pool ceil", "AvgPool2d", nn.AvgPool2d((3, 2), (2, 2), (1, 1), ceil_mode=True),
             (1, 2, 6, 6), kernelSize=[3, 2], stride=2, padding=1, ceilMode=True),
        pool("adaptive to one", "AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d(1), (2, 3, 4, 5),
             outputSize=1),
        pool("adaptive uneven", "AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d((3, 2)), (2, 2, 7, 5),
             outputSize=[3, 2]),
        case("batch norm", "BatchNorm2d", nn.BatchNorm2d(3), (4, 3, 3, 2)),
        case("batch norm, momentum", "BatchNorm2d", nn.BatchNorm2d(2, eps=1e-3, momentum=0.7),
             (3, 2, 4, 3), {"epsilon": 1e-3, "momentum": 0.7}),
        case("batch norm without parameters", "BatchNorm2d", nn.BatchNorm2d(3, affine=False),
             (2, 3, 3, 3), {"affine": False}),
        case("batch norm without statistics", "BatchNorm2d",
             nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 3, 3), {"trackRunningStats": False}),
        case("batch norm of features", "BatchNorm1d", nn.BatchNorm1d(5), (6, 5)),
        case("batch norm of sequences", "BatchNorm1d", nn.BatchNorm1d(3), (4, 3, 5)),
        case("group norm", "GroupNorm", nn.GroupNorm(2, 4), (2, 4, 3, 3), {"numGroups": 2}),
        case("group norm of one group", "GroupNorm", nn.GroupNorm(1, 3, eps=1e-3), (2, 3, 4, 2),
             {"numGroups": 1, "epsilon": 1e-3}),
        case("instance norm", "GroupNorm", nn.GroupNorm(3, 3, affine=False), (2, 3, 3, 3),
             {"numGroups": 3, "affine": False}),
        pool("nearest", "Upsample", nn.Upsample(scale_factor=2), (2, 2, 3, 4), scaleFactor=2),
        pool("nearest to a size", "Upsample", nn.Upsample((5, 7)), (1, 2, 3, 4), size=[5, 7]),
        pool("bilinear", "Upsample", nn.Upsample(scale_factor=2, mode="bilinear"), (2, 2, 3, 4),
             scaleFactor=2, mode="bilinear"),
        pool("bilinear, corners", "Upsample",
             nn.Upsample((7, 5), mode="bilinear", align_corners=True), (1, 2, 4, 3), size=[7, 5],
             mode="bilinear", alignsCorners=True),
        case("shortcut", "Shortcut", Shortcut(6, 2), (2, 3, 5, 4), {"outChannels": 6, "stride": 2}),
        case("shortcut, channels alone", "Shortcut", Shortcut(5, 1), (2, 2, 3, 3), {"outChannels": 5}),
        pool("nearest by a fraction", "Upsample", nn.Upsample(scale_factor=1.7), (1, 2, 3, 7),
             scaleFactor=1.7),
        pool("smaller, nearest", "Upsample", nn.Upsample(scale_factor=0.6), (1, 2, 6, 7), scaleFactor=0.6),
        pool("bilinear by a fraction", "Upsample", nn.Upsample(scale_factor=1.5, mode="bilinear"),
             (1, 2, 5, 7), scaleFactor=1.5, mode="bilinear"),
        pool("smaller, bilinear", "Upsample", nn.Upsample(scale_factor=0.6, mode="bilinear"),
             (1, 2, 6, 7), scaleFactor=0.6, mode="bilinear"),
        pool("corners by a fraction", "Upsample",
             nn.Upsample(scale_factor=1.3, mode="bilinear", align_corners=True), (1, 1, 4, 5),
             scaleFactor=1.3, mode="bilinear", alignsCorners=True),
    ]


class BasicBlock(nn.Module):
    def __init__(self, inputs, width, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        if isinstance(shortcut, nn.Sequential) and len(shortcut):
            self.downsample = shortcut
        else:
            self.downsample = None
            self.free = [shortcut]

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        other = self.downsample(x) if self.downsample is not None else self.free[0](x)
        return self.relu(y + other)


class ResNet18(nn.Module):
    """The network that torchvision calls resnet18, with its names."""

    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, width in enumerate([64, 128, 256, 512]):
            blocks = []
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False),
                                         nn.BatchNorm2d(width)) if stride > 1 else nn.Identity()
                blocks.append(BasicBlock(inputs, width, stride, shortcut))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class ResNet20(nn.Module):
    """The network for CIFAR of He et al. 2016, section 4.2, with shortcuts without parameters."""

    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, width in enumerate([16, 32, 64]):
            blocks = []
            for block in range(3):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(inputs, width, stride, Shortcut(width, stride)))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(3):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def noise(count, stream):
    """Values in -1...1 that a test can make again: the finaliser of MurmurHash3 on 32-bit integers."""
    x = (torch.arange(count, dtype=torch.int64) + stream * 7919) & 0xFFFFFFFF
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        x = ((x ^ (x >> shift)) * factor) & 0xFFFFFFFF
    x = x ^ (x >> 16)
    return (x >> 8).to(torch.float64) / 2 ** 23 - 1


def filled(module):
    """Values that need no file: the n-th tensor by name takes stream n."""
    state = module.state_dict()
    for index, name in enumerate(sorted(k for k in state if not k.endswith("num_batches_tracked"))):
        tensor = state[name]
        draw = noise(tensor.numel(), index + 1).reshape(tensor.shape)
        if tensor.dim() > 1:
            draw = draw * (3.0 / (tensor.numel() / tensor.shape[0])) ** 0.5
        elif name.endswith("running_var"):
            draw = 1 + draw / 2
        elif name.endswith("weight"):
            draw = 1 + draw / 4
        else:
            draw = draw / 8
        state[name] = draw.to(tensor.dtype)
    module.load_state_dict(state)
    return module.eval()


def network(name, module, shape):
    x = noise(torch.Size(shape).numel(), 1000).reshape(shape).float()
    module = filled(module)
    return {
        "model": name, "shape": list(shape), "logits": array(module(x)),
        "state": {k: list(v.shape) for k, v in module.state_dict().items()},
    }


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


write("convolutions.json", layers())
write("residual.json", [
    network("resnet18", ResNet18(3, 7), (2, 3, 32, 32)),
    network("resnet20", ResNet20(3, 10), (2, 3, 16, 16)),
])
