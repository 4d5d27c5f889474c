#!/usr/bin/env python3
"""Generate residual networks with random weights as ONNX, in place of pretrained files.

    python tests/nets.py resnet50 -o resnet50.onnx --seed 1
    python tests/nets.py resnet20 --shortcut A --opset 11 -o resnet20.onnx

The topologies are those of "Deep Residual Learning" (He et al. 2015, tables 1 and 6),
with the stride on a bottleneck's 3x3 convolution as in torchvision. The same arguments
give the same file, byte for byte.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The lowest IR version that may carry an opset (onnx/docs/Versioning.md); IR 3 also lists
# initialisers as inputs.
IR_VERSIONS = {
    7: 3,
    8: 3,
    9: 4,
    10: 5,
    11: 6,
    12: 7,
    13: 7,
    14: 7,
    15: 8,
    16: 8,
    17: 8,
    18: 8,
    19: 9,
    20: 9,
    21: 10,
    22: 10,
    23: 11,
    24: 12,
    25: 13,
    26: 13,
}
HEADS = ("flatten", "reshape", "shape", "squeeze", "matmul", "average")
# Keeps the sum of a deep network's residual branches near the size of its stem's output.
RESIDUAL_SCALE = 0.25


@dataclass(frozen=True)
class Architecture:
    """Blocks per stage and how a block is made; `cifar` networks have a 3x3 stem and
    begin with 16 channels."""

    blocks: tuple[int, ...]
    bottleneck: bool = False
    groups: int = 1
    base_width: int = 64
    cifar: bool = False
    plain: bool = False


def cifar(depth: int, plain: bool = False) -> Architecture:
    n = (depth - 2) // 6
    return Architecture((n, n, n), cifar=True, plain=plain)


ARCHITECTURES = {
    "resnet18": Architecture((2, 2, 2, 2)),
    "resnet34": Architecture((3, 4, 6, 3)),
    "resnet50": Architecture((3, 4, 6, 3), bottleneck=True),
    "resnet101": Architecture((3, 4, 23, 3), bottleneck=True),
    "resnet152": Architecture((3, 8, 36, 3), bottleneck=True),
    "resnext50": Architecture((3, 4, 6, 3), bottleneck=True, groups=32, base_width=4),
    "wide50": Architecture((3, 4, 6, 3), bottleneck=True, base_width=128),
    "plain18": Architecture((2, 2, 2, 2), plain=True),
    "plain34": Architecture((3, 4, 6, 3), plain=True),
    **{f"resnet{depth}": cifar(depth) for depth in (8, 20, 32, 44, 56, 110)},
    **{f"plain{depth}": cifar(depth, plain=True) for depth in (8, 20, 32, 44, 56, 110)},
}


@dataclass(frozen=True)
class Options:
    """How to write a file of a given topology."""

    seed: int = 0
    opset: int = 13
    batch: int | None = None  # None: symbolic
    size: int | None = None  # None: 32 for CIFAR networks, else 224
    width: float = 1.0  # multiplies the channels of every stage
    classes: int | None = None  # None: 10 for CIFAR networks, else 1000
    # where shapes change: "A" (slice and zero channels) or "B" (1x1 convolution)
    shortcut: str | None = None
    # keep batch normalisation as a node; else fold it into the convolution
    keep_norm: bool = True
    softmax: bool = False
    head: str = "flatten"


@dataclass(frozen=True)
class Block:
    """A residual block, or pair of plain layers, as generated."""

    name: str
    shortcut: str  # "identity", "projection", "option_a" or "none"
    output: str  # tensor


@dataclass
class Net:
    """A graph under construction. Every method adds nodes and returns the name of the
    tensor that they compute."""

    seed: int
    opset: int = 13
    keep_norm: bool = True
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def normal(self, name: str, shape: tuple[int, ...], scale: float) -> str:
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        return self.constant(name, values)

    def node(
        self, kind: str, name: str, inputs: list[str], like: str | None = None, **attributes: object
    ) -> str:
        """Add a node with one output, which has as many channels as tensor `like`
        (None: as the first input)."""
        output = f"{name}.out"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        source = inputs[0] if like is None else like
        if source in self.channels:
            self.channels[output] = self.channels[source]
        return output

    def conv(
        self,
        x: str,
        name: str,
        out: int,
        kernel: int,
        stride: int = 1,
        *,
        pad: int | list[int] | None = None,
        groups: int = 1,
        dilation: int = 1,
        norm: bool = True,
        scale: float = 1.0,
    ) -> str:
        """Append a He-initialised convolution and batch normalisation, folded where the
        network keeps none."""
        per_group = self.channels[x] // groups
        fan_in = per_group * kernel * kernel
        weight = self.rng.standard_normal((out, per_group, kernel, kernel), dtype=np.float32)
        weight *= np.float32(np.sqrt(2 / fan_in))
        norms = self.draw_norm(out, scale) if norm else None
        inputs = [x, f"{name}.weight"]
        if norms is not None and not self.keep_norm:
            weight, bias = fold(weight, norms)
            inputs.append(self.constant(f"{name}.bias", bias))
        elif norms is None:
            inputs.append(self.normal(f"{name}.bias", (out,), 0.1))
        self.constant(f"{name}.weight", weight)
        y = self.node(
            "Conv",
            name,
            inputs,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            group=groups,
            dilations=[dilation, dilation],
            pads=four(dilation * (kernel // 2) if pad is None else pad),
        )
        self.channels[y] = out
        return self.norm(y, f"{name}.bn", norms) if norms is not None and self.keep_norm else y

    def draw_norm(self, channels: int, scale: float) -> dict[str, np.ndarray]:
        """Draw variances with a mean of 1 / variance of 1, so that signals neither grow
        nor fade with depth."""
        draw = {
            "gamma": scale * self.rng.uniform(0.8, 1.2, channels),
            "beta": 0.1 * self.rng.standard_normal(channels),
            "mean": 0.1 * self.rng.standard_normal(channels),
            "var": self.rng.uniform(0.7, 1.4, channels),
        }
        return {key: value.astype(np.float32) for key, value in draw.items()}

    def norm(
        self, x: str, name: str, values: dict[str, np.ndarray] | None = None, **attributes: object
    ) -> str:
        values = values or self.draw_norm(self.channels[x], 1.0)
        inputs = [x, *(self.constant(f"{name}.{key}", value) for key, value in values.items())]
        return self.node("BatchNormalization", name, inputs, epsilon=1e-5, **attributes)

    def relu(self, x: str, name: str) -> str:
        return self.node("Relu", name, [x])

    def clip(self, x: str, name: str, low: float, high: float) -> str:
        if self.opset < 11:
            return self.node("Clip", name, [x], min=low, max=high)
        bounds = [
            self.constant(f"{name}.{key}", np.float32(value))
            for key, value in (("min", low), ("max", high))
        ]
        return self.node("Clip", name, [x, *bounds])

    def add(self, a: str, b: str, name: str) -> str:
        return self.node("Add", name, [a, b])

    def max_pool(
        self,
        x: str,
        name: str,
        kernel: int,
        stride: int,
        pad: int | list[int],
        **attributes: object,
    ) -> str:
        return self.node(
            "MaxPool",
            name,
            [x],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=four(pad),
            **attributes,
        )

    def average_pool(
        self,
        x: str,
        name: str,
        kernel: int,
        stride: int,
        pad: int | list[int],
        **attributes: object,
    ) -> str:
        return self.node(
            "AveragePool",
            name,
            [x],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=four(pad),
            **attributes,
        )

    def global_pool(self, x: str, name: str = "avgpool") -> str:
        return self.node("GlobalAveragePool", name, [x])

    def pad(self, x: str, name: str, before: list[int], after: list[int]) -> str:
        if self.opset < 11:
            return self.node("Pad", name, [x], pads=before + after, mode="constant", value=0.0)
        pads = self.constant(f"{name}.pads", np.array(before + after, np.int64))
        return self.node("Pad", name, [x, pads], mode="constant")

    def subsample(self, x: str, name: str, out: int, stride: int) -> str:
        """Append option A: every `stride`-th pixel, zero channels on both sides. Slice
        has steps from opset 10 on."""
        if self.opset < 10:
            raise ValueError("option-A shortcuts need opset 10: Slice has no steps before")
        limits = {
            "starts": [0, 0],
            "ends": [2**63 - 1] * 2,
            "axes": [2, 3],
            "steps": [stride, stride],
        }
        inputs = [
            self.constant(f"{name}.{key}", np.array(value, np.int64))
            for key, value in limits.items()
        ]
        y = self.node("Slice", f"{name}.slice", [x, *inputs])
        extra = out - self.channels[x]
        y = self.pad(y, name, [0, extra // 2, 0, 0], [0, extra - extra // 2, 0, 0])
        self.channels[y] = out
        return y

    def squeeze(self, x: str, name: str, axes: list[int]) -> str:
        return self.with_axes("Squeeze", x, name, axes)

    def unsqueeze(self, x: str, name: str, axes: list[int]) -> str:
        return self.with_axes("Unsqueeze", x, name, axes)

    def with_axes(self, kind: str, x: str, name: str, axes: list[int]) -> str:
        if self.opset < 13:
            return self.node(kind, name, [x], axes=axes)
        return self.node(kind, name, [x, self.constant(f"{name}.axes", np.array(axes, np.int64))])

    def dropout(self, x: str, name: str, ratio: float) -> str:
        if self.opset < 12:
            return self.node("Dropout", name, [x], ratio=ratio)
        return self.node("Dropout", name, [x, self.constant(f"{name}.ratio", np.float32(ratio))])

    def flat(self, x: str, head: str) -> str:
        """Return the features as (n,c), in one of the spellings that exporters use."""
        if head == "reshape":
            shape = self.constant("reshape.shape", np.array([0, -1], np.int64))
            # PyTorch's exporter writes the attribute's default from opset 14 on.
            return self.node(
                "Reshape", "reshape", [x, shape], **({"allowzero": 0} if self.opset >= 14 else {})
            )
        if head == "squeeze":
            return self.squeeze(x, "squeeze", [2, 3])
        if head == "shape":
            return self.reshape_by_batch(x)
        return self.node("Flatten", "flatten", [x], axis=1)

    def reshape_by_batch(self, x: str) -> str:
        """Append x.view(x.size(0), -1) as PyTorch's exporter writes it."""
        shape = self.node("Shape", "shape", [x])
        batch = self.node(
            "Gather",
            "gather",
            [shape, self.constant("gather.index", np.array(0, np.int64))],
            axis=0,
        )
        batch = self.unsqueeze(batch, "unsqueeze", [0])
        rest = self.constant("concat.rest", np.array([-1], np.int64))
        target = self.node("Concat", "concat", [batch, rest], axis=0)
        return self.node("Reshape", "reshape", [x, target], like=x)

    def linear(self, x: str, name: str, classes: int, transposed: bool = True) -> str:
        features = self.channels[x]
        shape = (classes, features) if transposed else (features, classes)
        weight = self.normal(f"{name}.weight", shape, 1 / np.sqrt(features))
        bias = self.normal(f"{name}.bias", (classes,), 0.1)
        return self.node("Gemm", name, [x, weight, bias], transB=int(transposed))

    def linear_as_matmul(self, x: str, name: str, classes: int) -> str:
        features = self.channels[x]
        y = self.node(
            "MatMul",
            name,
            [x, self.normal(f"{name}.weight", (features, classes), 1 / np.sqrt(features))],
        )
        return self.node("Add", f"{name}.add", [y, self.normal(f"{name}.bias", (classes,), 0.1)])

    def head(self, x: str, size: int, classes: int, head: str) -> str:
        y = (
            self.average_pool(x, "avgpool", size, 1, 0)
            if head == "average"
            else self.global_pool(x)
        )
        y = self.flat(y, head)
        if head == "matmul":
            return self.linear_as_matmul(y, "fc", classes)
        return self.linear(y, "fc", classes, transposed=head != "squeeze")

    def model(
        self, output: str, shape: tuple[int | None, ...], classes: int, name: str = "net"
    ) -> onnx.ModelProto:
        """Return the file: its input "input" has `shape` (n,c,h,w), its output gets the
        name "logits"."""
        for node in self.nodes:
            node.output[:] = ["logits" if tensor == output else tensor for tensor in node.output]
        batch = "N" if shape[0] is None else shape[0]
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *shape[1:]])]
        ir_version = IR_VERSIONS[self.opset]
        if ir_version == 3:
            inputs += [
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                for t in self.initializers
            ]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        return helper.make_model(
            graph,
            producer_name="libresnet-tests",
            ir_version=ir_version,
            opset_imports=[helper.make_opsetid("", self.opset)],
        )


def four(pad: int | list[int]) -> list[int]:
    """Return pads in ONNX's order: top, left, bottom, right."""
    return [pad] * 4 if isinstance(pad, int) else list(pad)


def fold(weight: np.ndarray, norm: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of the convolution before, with batch normalisation folded
    in."""
    wide = {key: value.astype(np.float64) for key, value in norm.items()}
    factor = wide["gamma"] / np.sqrt(wide["var"] + 1e-5)
    folded = weight.astype(np.float64) * factor[:, None, None, None]
    return folded.astype(np.float32), (wide["beta"] - wide["mean"] * factor).astype(np.float32)


def branch(
    net: Net, x: str, name: str, architecture: Architecture, planes: int, stride: int
) -> str:
    """Append the residual branch F(x), before the shortcut is added."""
    scale = 1.0 if architecture.plain else RESIDUAL_SCALE
    if not architecture.bottleneck:
        y = net.relu(net.conv(x, f"{name}.conv1", planes, 3, stride), f"{name}.relu1")
        return net.conv(y, f"{name}.conv2", planes, 3, scale=scale)
    groups = architecture.groups
    inner = max(groups, planes * architecture.base_width // 64 * groups)
    y = net.relu(net.conv(x, f"{name}.conv1", inner, 1), f"{name}.relu1")
    y = net.relu(net.conv(y, f"{name}.conv2", inner, 3, stride, groups=groups), f"{name}.relu2")
    return net.conv(y, f"{name}.conv3", 4 * planes, 1, scale=scale)


def residual(
    net: Net, x: str, name: str, architecture: Architecture, planes: int, stride: int, option: str
) -> str:
    """Append one block: relu(F(x) + shortcut(x)), or relu(F(x)) in a plain network."""
    y = branch(net, x, name, architecture, planes, stride)
    out = net.channels[y]
    if architecture.plain:
        kind = "none"
    elif stride == 1 and net.channels[x] == out:
        kind = "identity"
        y = net.add(y, x, f"{name}.add")
    elif option == "A":
        kind = "option_a"
        y = net.add(y, net.subsample(x, f"{name}.shortcut", out, stride), f"{name}.add")
    else:
        kind = "projection"
        y = net.add(y, net.conv(x, f"{name}.shortcut", out, 1, stride), f"{name}.add")
    y = net.relu(y, f"{name}.relu")
    net.blocks.append(Block(name, kind, y))
    return y


def generate(kind: str, options: Options) -> tuple[onnx.ModelProto, list[Block]]:
    """Return the network called `kind` in ARCHITECTURES, and its blocks in order."""
    architecture = ARCHITECTURES[kind]
    size = options.size or (32 if architecture.cifar else 224)
    classes = options.classes or (10 if architecture.cifar else 1000)
    option = options.shortcut or ("A" if architecture.cifar and options.opset >= 10 else "B")
    net = Net(options.seed, options.opset, options.keep_norm, channels={"input": 3})
    first = max(1, round((16 if architecture.cifar else 64) * options.width))
    if architecture.cifar:
        x = net.relu(net.conv("input", "conv1", first, 3), "relu1")
    else:
        x = net.relu(net.conv("input", "conv1", first, 7, 2), "relu1")
        x = net.max_pool(x, "maxpool", 3, 2, 1)
        size = -(-size // 4)
    for stage, count in enumerate(architecture.blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            x = residual(
                net, x, f"layer{stage + 1}.{index}", architecture, first << stage, stride, option
            )
            size = -(-size // stride)
    y = net.head(x, size, classes, options.head)
    if options.softmax:
        y = net.node("Softmax", "softmax", [y], axis=1)
    side = options.size or (32 if architecture.cifar else 224)
    return net.model(y, (options.batch, 3, side, side), classes, kind), net.blocks


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--opset", type=int, default=13, choices=IR_VERSIONS)
    parser.add_argument("--batch", type=int, help="a fixed batch (default: symbolic)")
    parser.add_argument("--size", type=int, help="of the square input")
    parser.add_argument(
        "--width", type=float, default=1.0, help="factor for the channels of every stage"
    )
    parser.add_argument("--classes", type=int)
    parser.add_argument(
        "--shortcut", choices=("A", "B"), help="where shapes change (default: A for CIFAR, else B)"
    )
    parser.add_argument(
        "--fold-norm", dest="keep_norm", action="store_false", help="no BatchNormalization nodes"
    )
    parser.add_argument("--softmax", action="store_true")
    parser.add_argument(
        "--head", choices=HEADS, default="flatten", help="how the classifier is spelled"
    )
    return parser.parse_args()


def main() -> None:
    arguments = vars(parse_arguments())
    kind, output = arguments.pop("architecture"), arguments.pop("output")
    model, blocks = generate(kind, Options(**arguments))
    onnx.save(model, output)
    size = output.stat().st_size
    print(f"{output}: {kind}, {len(model.graph.node)} nodes, {len(blocks)} blocks, {size} bytes")


if __name__ == "__main__":
    main()
