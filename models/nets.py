"""The CIFAR networks of "Deep Residual Learning for Image Recognition", section 4.2.

6n+2 layers: a 3x3 convolution, three stages of n blocks of two 3x3 convolutions with
16, 32 and 64 channels, global average pooling and a linear layer. A plain network is the
same without shortcuts. Shortcuts that change shape are option A: every second pixel,
and zeros in the new channels, so that both kinds have the same parameters.
"""

from __future__ import annotations

import torch.nn.functional as F
from recipe import KINDS
from torch import Tensor, nn

STAGE_CHANNELS = (16, 32, 64)


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size. Batch normalisation is its bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions, with a shortcut around them when the network is residual."""

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.residual = residual
        # Half of the zero channels come before the old ones and half after, as in the
        # public CIFAR ResNets.
        self.zeros_before = (outputs - inputs) // 2
        self.zeros_after = outputs - inputs - self.zeros_before

    @property
    def changes_shape(self) -> bool:
        """Return whether the shortcut is option A rather than the identity."""
        return self.stride != 1 or self.zeros_after > 0

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the identity, or option A."""
        if not self.changes_shape:
            return x
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.zeros_before, self.zeros_after))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (n,inputs,h,w) into (n,outputs,h/stride,w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.residual:
            y = y + self.shortcut(x)
        return F.relu(y)


class CifarNet(nn.Module):
    """A residual or plain network of depth 6n+2."""

    def __init__(self, kind: str, depth: int, classes: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth {depth} is not 6n+2, such as 20, 32, 44, 56, 110")
        self.kind, self.depth = kind, depth
        self.conv1 = conv3x3(3, STAGE_CHANNELS[0])
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        inputs = STAGE_CHANNELS[0]
        for number, outputs in enumerate(STAGE_CHANNELS, start=1):
            setattr(self, f"layer{number}", self.stage(inputs, outputs, 1 if number == 1 else 2))
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)
        self.apply(initialise)

    def stage(self, inputs: int, outputs: int, stride: int) -> nn.Sequential:
        """Return the n blocks of one stage; the first changes the shape."""
        residual = self.kind == "residual"
        stage = nn.Sequential()
        for number in range((self.depth - 2) // 6):
            first = number == 0
            block = Block(inputs if first else outputs, outputs, stride if first else 1, residual)
            stage.add_module(f"block{number}", block)
        return stage

    @property
    def name(self) -> str:
        """Return e.g. resnet20 or plain56."""
        return f"{'resnet' if self.kind == 'residual' else 'plain'}{self.depth}"

    def forward(self, x: Tensor) -> Tensor:
        """Turn (n,3,h,w) into logits (n,classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


def initialise(module: nn.Module) -> None:
    """Draw the weights as He et al. 2015 do."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def count_parameters(net: nn.Module) -> int:
    """Count the trained values; running statistics are not among them."""
    return sum(parameter.numel() for parameter in net.parameters())
