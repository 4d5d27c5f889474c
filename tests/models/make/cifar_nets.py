"""Write CIFAR networks in PyTorch (option A and B shortcuts, plain ones, pooled
shortcuts), through both of its exporters.

    python cifar_nets.py
"""

from __future__ import annotations

import torch
from common import add, residual_stages
from torch import nn
from torch.nn import functional
from torch_common import VERSION, dynamo, randomise, torchscript

SIZE = (24, 40)


class Skip(nn.Module):
    """Option A: every second pixel, and zeros for the channels that are missing."""

    def __init__(self, missing: int) -> None:
        super().__init__()
        self.missing = missing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(
            x[:, :, ::2, ::2], (0, 0, 0, 0, self.missing // 2, self.missing - self.missing // 2)
        )


class PooledPadded(Skip):
    """An average instead of every second pixel, zeros after the channels, as in
    PyramidNet."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(functional.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.missing))


class SkippedJoined(Skip):
    """Option A, with a tensor of zeros that Concat joins on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, ::2, ::2]
        return torch.cat([x, torch.zeros(x.shape[0], self.missing, x.shape[2], x.shape[3])], 1)


class Block(nn.Module):
    def __init__(
        self, given: int, out: int, stride: int, shortcut: nn.Module | None, adds: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut, self.adds = shortcut, adds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.adds:
            y = y + (self.shortcut(x) if self.shortcut is not None else x)
        return torch.relu(y)


class Net(nn.Module):
    """Three stages of `count` blocks; `option`: a key of KINDS, or plain."""

    def __init__(self, count: int, option: str, width: int = 4, average: str = "adaptive") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks, given = [], width
        for stage in range(3):
            for index in range(count):
                out, stride = (
                    (width if option == "pool" else width << stage),
                    2 if stage and not index else 1,
                )
                shortcut = self.shortcut(option, given, out) if stride > 1 else None
                blocks.append(Block(given, out, stride, shortcut, option != "plain"))
                given = out
        self.blocks, self.fc, self.average = nn.Sequential(*blocks), nn.Linear(given, 10), average

    @staticmethod
    def shortcut(option: str, given: int, out: int) -> nn.Module | None:
        if option == "B":
            return nn.Sequential(nn.Conv2d(given, out, 1, 2, bias=False), nn.BatchNorm2d(out))
        return {
            "A": Skip(out - given),
            "padded": PooledPadded(out - given),
            "joined": SkippedJoined(out - given),
            "pool": nn.AvgPool2d(2),
            "plain": None,
        }[option]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(torch.relu(self.bn1(self.conv1(x))))
        if self.average == "window":
            x = functional.avg_pool2d(x, (SIZE[0] // 4, SIZE[1] // 4)).view(x.size(0), -1)
        elif self.average == "mean":
            x = x.mean((2, 3))
        else:
            x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return self.fc(x)


KINDS = {"A": "option_a", "B": "projection", "pool": "pool", "padded": "pool", "joined": "option_a"}


def expected(count: int, option: str) -> dict:
    blocks = (
        ["none"] * 3 * count
        if option == "plain"
        else residual_stages((count,) * 3, KINDS[option], "identity")
    )
    name = (
        f"plain{6 * count + 2}" if option == "plain" else f"resnet{6 * count + 2}, option {option}"
    )
    return {"architecture": name, "blocks": blocks, "depth": 6 * count + 2, "size": SIZE}


CASES = [
    # count, option, average, TorchScript's opset, dynamo's
    (3, "A", "window", 11, 18),
    (3, "A", "adaptive", 17, 20),
    (1, "A", "mean", 13, 23),
    (1, "A", "window", 10, 26),
    (3, "B", "window", 9, 18),
    (1, "B", "mean", 18, 21),
    (3, "plain", "window", 11, 20),
    (1, "plain", "adaptive", 8, 18),
    (2, "pool", "mean", 12, 18),
    (2, "padded", "adaptive", 14, 20),
    (1, "joined", "adaptive", 15, 18),
]


def main() -> None:
    for number, (count, option, average, *opsets) in enumerate(CASES):
        module = randomise(Net(count, option, average=average), SIZE, 800 + number)
        for exporter, opset in zip((torchscript, dynamo), opsets, strict=True):
            model = exporter(module, (2, 3, *SIZE), opset)
            short = "ts" if exporter is torchscript else "dynamo"
            name = expected(count, option)["architecture"].replace(", option ", "_").lower()
            add(
                f"cifar/{name}_{average}_{short}_opset{opset}.onnx",
                model,
                exporter=f"{VERSION}, opset {opset}",
                source=f"CIFAR nets, {'TorchScript' if short == 'ts' else 'dynamo'} exporter",
                **expected(count, option),
            )


if __name__ == "__main__":
    main()
