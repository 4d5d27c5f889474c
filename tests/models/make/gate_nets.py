"""Write squeeze-and-excitation in other spellings than timm's usual one, through both of
PyTorch's exporters.

    python gate_nets.py
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cifar_nets
import timm
import torch
from common import add, residual_stages
from timm.layers import SEModule
from timm.models import senet
from torch import nn
from torch.nn import functional
from torch_common import VERSION, dynamo, randomise, torchscript

SIZE = (24, 40)
IMAGE = (64, 96)


class Gate(nn.Module):
    """Fully connected layers on the averages, as in most people's own code."""

    def __init__(self, channels: int, spelling: str) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels // 2), nn.Linear(channels // 2, channels)
        self.spelling = spelling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels = x.shape[:2]
        if self.spelling == "view":
            y = functional.adaptive_avg_pool2d(x, 1).view(batch, channels)
        else:
            y = x.mean((2, 3))
        y = self.fc2(torch.relu(self.fc1(y)))
        if self.spelling == "view":
            return x * torch.sigmoid(y).view(batch, channels, 1, 1).expand_as(x)
        if self.spelling == "hard":
            return functional.hardsigmoid(y)[:, :, None, None] * x
        # MobileNetV3's, by hand
        return x * (functional.relu6(y + 3) / 6).unsqueeze(-1).unsqueeze(-1)


class GatedBlock(cifar_nets.Block):
    def __init__(self, *arguments: object, gate: Callable[[int], nn.Module]) -> None:
        super().__init__(*arguments)
        self.gate = gate(self.conv2.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.gate(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(y + (self.shortcut(x) if self.shortcut is not None else x))


class GatedNet(cifar_nets.Net):
    def __init__(self, gate: Callable[[int], nn.Module]) -> None:
        super().__init__(1, "B")
        for index, block in enumerate(self.blocks):
            given, out = block.conv1.in_channels, block.conv1.out_channels
            self.blocks[index] = GatedBlock(
                given, out, block.conv1.stride[0], block.shortcut, True, gate=gate
            )


class NarrowLegacy(senet.SENet):
    """timm's models from Caffe's weights: a stem's pool without pads that rounds up,
    biases in the gates."""

    def _make_layer(
        self, block: type, planes: int, *arguments: object, **options: object
    ) -> nn.Sequential:
        self.last = planes // 32 * block.expansion
        return super()._make_layer(block, planes // 32, *arguments, **options)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "last_linear":
            value = nn.Linear(self.last, value.out_features)
        super().__setattr__(name, value)


GATES = {
    "view": partial(Gate, spelling="view"),
    "hard": partial(Gate, spelling="hard"),
    "relu6": partial(Gate, spelling="relu6"),
    "timm_hard": partial(SEModule, gate_layer="hard_sigmoid", rd_divisor=2),
}


def main() -> None:
    exporters = (("ts", torchscript), ("dynamo", dynamo))
    for number, (kind, gate) in enumerate(GATES.items()):
        module = randomise(GatedNet(gate), SIZE, 900 + number)
        for (short, exporter), opset in zip(exporters, (13 + number, 18 + number), strict=True):
            writer = "TorchScript" if short == "ts" else "dynamo"
            add(
                f"gates/resnet8_{kind}_{short}_opset{opset}.onnx",
                exporter(module, (2, 3, *SIZE), opset),
                size=SIZE,
                source=f"SE as people write it, {writer} exporter",
                architecture=f"SE-ResNet-8, {kind}",
                blocks=residual_stages((1, 1, 1), first="identity"),
                depth=8,
                exporter=f"{VERSION}, opset {opset}",
            )
    for short, exporter in exporters:
        for block, kind, layers, depth in (
            (senet.SEResNetBlock, "legacy_seresnet18", (2, 2, 2, 2), 18),
            (senet.SEResNetBottleneck, "legacy_seresnet50", (2, 1, 1, 1), 17),
        ):
            narrow = NarrowLegacy(block, layers, groups=1, reduction=1, num_classes=10, inplanes=2)
            module = randomise(narrow, IMAGE, 950 + depth)
            opset = 11 if short == "ts" else 18
            first = "identity" if depth == 18 else "projection"
            add(
                f"timm/{kind}_{short}_opset{opset}.onnx",
                exporter(module, (1, 3, *IMAGE), opset),
                architecture=kind,
                source=f"timm, {'TorchScript' if short == 'ts' else 'dynamo'} exporter",
                depth=depth,
                blocks=residual_stages(layers, first=first),
                note="MaxPool with ceil_mode",
                exporter=f"{VERSION}, timm {timm.__version__}, opset {opset}",
                also=[{"options": {"size": [75, 107]}}],
            )


if __name__ == "__main__":
    main()
