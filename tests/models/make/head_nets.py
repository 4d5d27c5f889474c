"""Write heads and gates as people write them in PyTorch, through both of its exporters.

python head_nets.py
"""

from __future__ import annotations

import torch
from cifar_nets import Net
from common import add, residual_stages
from torch import nn
from torch.nn import functional
from torch_common import VERSION, dynamo, randomise, torchscript

SIZE = (40, 56)


class Fastai(nn.Module):
    """fastai's head: the maximum beside the average, normalised, and linear layers."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.bn1, self.drop1 = nn.BatchNorm1d(2 * given), nn.Dropout(0.25)
        self.fc1, self.bn2 = nn.Linear(2 * given, 12, bias=False), nn.BatchNorm1d(12)
        self.drop2, self.fc2 = nn.Dropout(0.5), nn.Linear(12, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat(
            [functional.adaptive_max_pool2d(x, 1), functional.adaptive_avg_pool2d(x, 1)], 1
        )
        x = self.drop1(self.bn1(torch.flatten(x, 1)))
        return self.fc2(self.drop2(self.bn2(functional.relu(self.fc1(x)))))


class Head(nn.Module):
    """A global pool in one of its spellings, and a layer of scores."""

    def __init__(self, given: int, kind: str) -> None:
        super().__init__()
        self.kind, self.fc = kind, nn.Linear(given, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "index":
            x = functional.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]
        elif self.kind == "means":
            x = x.mean(3).mean(2)
        elif self.kind == "sum":
            x = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
        else:
            x = torch.flatten(functional.adaptive_max_pool2d(x, 1), 1)
        return self.fc(x)


class Expanded(nn.Module):
    """Squeeze-and-excitation that names the sizes to which its gate expands, -1 for those
    that stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels // 2), nn.Linear(channels // 2, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.fc2(functional.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])


class Headed(Net):
    def __init__(self, kind: str) -> None:
        super().__init__(1, "B")
        given = self.fc.in_features
        self.fc = nn.Identity()
        self.head = (
            Fastai(given)
            if kind == "fastai"
            else Head(given, "means" if kind == "expand" else kind)
        )
        for block in self.blocks if kind == "expand" else []:
            block.bn1 = nn.Sequential(block.bn1, Expanded(block.conv1.out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(torch.relu(self.bn1(self.conv1(x)))))


CASES = [  # kind, exporter, opset, symbolic axes of the input
    ("fastai", torchscript, 11, (0,)),
    ("fastai", dynamo, 18, (0, 2, 3)),
    ("index", torchscript, 13, (0,)),
    ("means", torchscript, 12, (0,)),
    ("sum", torchscript, 14, (0,)),
    ("sum", dynamo, 18, (0,)),
    ("maximum", dynamo, 20, (0,)),
    ("index", torchscript, 16, (0, 1, 2, 3)),
    ("expand", torchscript, 15, (0, 2, 3)),
]


def main() -> None:
    for number, (kind, exporter, opset, free) in enumerate(CASES):
        module = randomise(Headed(kind), SIZE, 970 + number)
        short = "ts" if exporter is torchscript else "dynamo"
        symbolic = {1: "", 3: "_anysize", 4: "_anything"}[len(free)]
        writer = "TorchScript" if short == "ts" else "dynamo"
        add(
            f"heads/resnet8_{kind}_{short}_opset{opset}{symbolic}.onnx",
            exporter(module, (2, 3, *SIZE), opset, free=free),
            size=SIZE,
            source=f"heads as people write them, {writer} exporter",
            architecture=f"ResNet-8, {kind}",
            blocks=residual_stages((1, 1, 1), first="identity"),
            depth=9 if kind == "fastai" else 8,
            exporter=f"{VERSION}, opset {opset}",
            note="its input has no fixed size, nor channels" if len(free) == 4 else "",
            options={"size": list(SIZE)} if len(free) > 1 else {},
        )


if __name__ == "__main__":
    main()
