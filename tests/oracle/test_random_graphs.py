"""Random residual graphs against onnxruntime: the differential fuzzer in its short form.

LIBRESNET_RANDOM_GRAPHS sets how many are tried (150), LIBRESNET_RANDOM_SEED the first one's number (0). A failure
names its number, which makes the same graph again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from oracle import compare, dump, onnx, pictures

import nets  # isort: skip; found through oracle

COUNT = int(os.environ.get("LIBRESNET_RANDOM_GRAPHS", "150"))
FIRST = int(os.environ.get("LIBRESNET_RANDOM_SEED", "0"))
GROUP_SIZE = 10
OPSETS = (7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 21)
CHANNELS = (1, 2, 3, 4, 8, 12, 16, 17, 24, 32, 40)


@dataclass
class Sketch:
    """A random graph in the making; `h` and `w` are the size of the tensor that was made last."""

    net: nets.Net
    choose: np.random.Generator
    h: int
    w: int
    count: int = 0

    def pick(self, values: tuple) -> object:
        return values[int(self.choose.integers(len(values)))]

    def chance(self, probability: float) -> bool:
        return bool(self.choose.random() < probability)

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what}{self.count}"

    def shrink(self, kernel: int, stride: int, pads: list[int]) -> None:
        """Follow a window; `kernel` is the dilated one."""
        self.h = (self.h + pads[0] + pads[2] - kernel) // stride + 1
        self.w = (self.w + pads[1] + pads[3] - kernel) // stride + 1

    def window_fits(self, kernel: int, pads: list[int]) -> bool:
        return self.h + pads[0] + pads[2] >= kernel and self.w + pads[1] + pads[3] >= kernel

    def random_pads(self, kernel: int) -> list[int]:
        """Mostly the symmetric half, now and then each side on its own."""
        if self.chance(0.7):
            return [kernel // 2] * 4
        return [int(self.choose.integers(0, kernel)) for _ in range(4)]


def activate(s: Sketch, x: str) -> str:
    kind = s.pick(("relu", "relu", "relu", "clip", "none"))
    if kind == "relu":
        return s.net.relu(x, s.name("relu"))
    if kind == "clip":
        return s.net.clip(x, s.name("clip"), 0.0, float(s.pick((1.0, 6.0))))
    return x


def random_conv(s: Sketch, x: str) -> str:
    """Any convolution that fits: kernel 1 to 7, stride, dilation, groups (depthwise too), pads on each side."""
    channels = s.net.channels[x]
    kernel, dilation = int(s.pick((1, 1, 3, 3, 3, 5, 7, 2))), int(s.pick((1, 1, 1, 2)))
    dilated = dilation * (kernel - 1) + 1
    pads = s.random_pads(dilated)
    if not s.window_fits(dilated, pads):
        kernel = dilation = dilated = 1
        pads = [0] * 4
    groups = int(s.pick(tuple(g for g in range(1, channels + 1) if channels % g == 0))) if s.chance(0.3) else 1
    out = groups * int(s.pick((1, 2, 3))) if groups > 1 else int(s.pick(CHANNELS))
    stride = int(s.pick((1, 1, 2, 3)))
    y = s.net.conv(x, s.name("conv"), out, kernel, stride, pad=pads, groups=groups, dilation=dilation,
                   norm=s.chance(0.7))
    s.shrink(dilated, stride, pads)
    return activate(s, y)


def random_pool(s: Sketch, x: str) -> str:
    kernel, stride = int(s.pick((2, 3))), int(s.pick((1, 2)))
    pads = [int(s.choose.integers(0, kernel)) for _ in range(4)] if s.chance(0.5) else [0] * 4
    if not s.window_fits(kernel, pads):
        return x
    s.shrink(kernel, stride, pads)
    if s.chance(0.5):
        return s.net.max_pool(x, s.name("maxpool"), kernel, stride, pads)
    return s.net.average_pool(x, s.name("averagepool"), kernel, stride, pads, count_include_pad=int(s.chance(0.5)))


def random_shortcut(s: Sketch, x: str, out: int, stride: int) -> str:
    if stride == 1 and s.net.channels[x] == out:
        return x
    if s.net.opset >= 10 and out >= s.net.channels[x] and s.chance(0.5):
        return s.net.subsample(x, s.name("shortcut"), out, stride)
    y = s.net.conv(x, s.name("projection"), out, 1, stride, norm=s.chance(0.7))
    return s.net.relu(y, s.name("relu")) if s.chance(0.1) else y


def random_block(s: Sketch, x: str) -> str:
    """A residual block of one to three convolutions, whose strides multiply to the shortcut's."""
    stride, depth = int(s.pick((1, 1, 2))), int(s.pick((1, 2, 2, 3)))
    strided = int(s.choose.integers(depth))
    out = s.net.channels[x] if s.chance(0.6) else int(s.pick(CHANNELS))
    y = x
    for index in range(depth):
        last = index == depth - 1
        y = s.net.conv(y, s.name("conv"), out if last else int(s.pick(CHANNELS)), int(s.pick((1, 3))),
                       stride if index == strided else 1, norm=s.chance(0.8),
                       scale=nets.RESIDUAL_SCALE if last else 1.0)
        y = y if last else activate(s, y)
    s.h, s.w = -(-s.h // stride), -(-s.w // stride)
    sides = [y, random_shortcut(s, x, out, stride)]
    if s.chance(0.3):
        sides.reverse()
    return activate(s, s.net.node(str(s.pick(("Add", "Add", "Sum"))), s.name("add"), sides))


def nothing(s: Sketch, x: str) -> str:
    """Nodes that do nothing at inference."""
    return s.net.dropout(x, s.name("dropout"), 0.4) if s.chance(0.5) else s.net.node("Identity", s.name("same"), [x])


def alone(s: Sketch, x: str) -> str:
    """Batch normalisation or an activation with no convolution in front."""
    y = s.net.norm(x, s.name("bn"), **({"spatial": 1} if s.net.opset < 9 else {}))
    return activate(s, y)


def random_graph(number: int) -> tuple[onnx.ModelProto, np.ndarray, int]:
    """Graph, pictures and the session's batch."""
    choose = np.random.default_rng([number, 7])
    opset = OPSETS[int(choose.integers(len(OPSETS)))]
    channels = int(choose.choice([1, 3, 3, 3, 4, 17]))
    net = nets.Net(number, opset, keep_norm=bool(choose.random() < 0.7), channels={"input": channels})
    h, w = int(choose.integers(1, 41)), int(choose.integers(1, 41))
    s = Sketch(net, choose, h, w)
    x = random_conv(s, "input") if s.chance(0.8) else "input"
    for _ in range(int(choose.integers(1, 6))):
        step = s.pick((random_block, random_block, random_block, random_conv, random_pool, nothing, alone))
        x = step(s, x)
    classes = int(s.pick((1, 2, 10, 33)))
    y = finish(s, x, classes)
    batch = int(choose.integers(1, 5))
    pixels = pictures((batch, channels, h, w), number)
    return net.model(y, (None, channels, h, w), classes), pixels, int(choose.integers(1, batch + 1))


def finish(s: Sketch, x: str, classes: int) -> str:
    """A classifier: over averaged features, or over all of them when they are few."""
    heads = ("flatten", "reshape", "shape", "squeeze", "matmul")
    if s.h * s.w * s.net.channels[x] <= 2048 and s.chance(0.3):
        flat = s.net.node("Flatten", "flatten", [x], axis=1)
        s.net.channels[flat] = s.h * s.w * s.net.channels[x]
        y = s.net.linear(flat, "fc", classes)
    else:
        y = s.net.head(x, 0, classes, str(s.pick(heads)))
    last = s.pick(("logits", "logits", "softmax", "log_softmax"))
    if last == "logits" or classes == 1:
        return y
    return s.net.node("Softmax" if last == "softmax" else "LogSoftmax", "last", [y], axis=1)


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, GROUP_SIZE))
def test_random_graphs_agree_with_onnxruntime(tmp_path: Path, first: int) -> None:
    for number in range(first, min(first + GROUP_SIZE, FIRST + COUNT)):
        model, x, batch = random_graph(number)
        path = tmp_path / f"{number}.onnx"
        onnx.save(model, path)
        try:
            compare(model, dump(path, x, threads=1 + number % 2, batch=batch), x, [])
        except AssertionError as failure:
            raise AssertionError(f"graph {number}: {failure}") from failure
