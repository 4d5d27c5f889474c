"""For files whose exporters are gone: write graphs node by node, from the building blocks
of tests/nets.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from common import residual_stages
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import nets  # noqa: E402

SIZE = (64, 96)
EXPORTER = f"onnx.helper {onnx.__version__}"
IR_VERSIONS = {
    **nets.IR_VERSIONS,
    **dict.fromkeys(range(1, 7), 3),
    22: 10,
    23: 11,
    24: 12,
    25: 13,
    26: 13,
    27: 13,
    28: 14,
}


class Net(nets.Net):
    """A network whose parts subclasses may spell otherwise."""

    def node(
        self, kind: str, name: str, inputs: list[str], like: str | None = None, **attributes: object
    ) -> str:
        """Append a node as nets.Net does; it has the channels of the first input that has
        any."""
        known = (tensor for tensor in inputs if tensor in self.channels)
        return super().node(kind, name, inputs, like or next(known, None), **attributes)

    def block(self, x: str, name: str, channels: int, stride: int, bottleneck: bool) -> str:
        y = self.branch(x, name, channels, stride, bottleneck)
        if stride > 1 or self.channels[x] != self.channels[y]:
            x = self.shortcut(x, name, self.channels[y], stride)
        return self.relu(self.add(y, x, f"{name}.add"), f"{name}.relu")

    def branch(self, x: str, name: str, channels: int, stride: int, bottleneck: bool) -> str:
        if not bottleneck:
            y = self.relu(self.conv(x, f"{name}.conv1", channels, 3, stride), f"{name}.relu1")
            return self.conv(y, f"{name}.conv2", channels, 3, scale=0.3)
        y = self.relu(self.conv(x, f"{name}.conv1", channels, 1), f"{name}.relu1")
        y = self.relu(self.conv(y, f"{name}.conv2", channels, 3, stride), f"{name}.relu2")
        return self.conv(y, f"{name}.conv3", 4 * channels, 1, scale=0.3)

    def shortcut(self, x: str, name: str, out: int, stride: int) -> str:
        return self.conv(x, f"{name}.shortcut", out, 1, stride)

    def stem(self, x: str, channels: int) -> str:
        y = self.relu(self.conv(x, "conv1", channels, 7, 2), "relu1")
        return self.max_pool(y, "maxpool", 3, 2, 1)

    def blocks_of(
        self, x: str, layers: tuple[int, ...], channels: tuple[int, ...], bottleneck: bool
    ) -> str:
        for stage, (count, width) in enumerate(zip(layers, channels, strict=True)):
            for index in range(count):
                stride = 2 if stage and not index else 1
                x = self.block(x, f"stage{stage + 1}.{index}", width, stride, bottleneck)
        return x

    def classifier(self, x: str, classes: int) -> str:
        return self.linear(self.flat(self.global_pool(x), "flatten"), "fc", classes)

    def residual(
        self,
        layers: tuple[int, ...],
        channels: tuple[int, ...],
        bottleneck: bool = False,
        classes: int = 10,
    ) -> str:
        self.channels["input"] = 3
        x = self.stem("input", 4 * channels[0] if bottleneck else channels[0])
        return self.classifier(self.blocks_of(x, layers, channels, bottleneck), classes)

    def file(
        self,
        output: str,
        classes: int = 10,
        batch: int | str | None = "N",
        given: str = "input",
        *,
        size: tuple[int, int] = SIZE,
        planar: bool = True,
        ir: int | None = None,
        inputs_too: bool | None = None,
        element: int = TensorProto.FLOAT,
        domains: dict[str, int] | None = None,
        outputs: list | None = None,
    ) -> onnx.ModelProto:
        """Return the model; `inputs_too`: list initialisers as inputs, as IR 3
        requires."""
        ir = ir or IR_VERSIONS[self.opset]
        shape = [batch, 3, *size] if planar else [batch, *size, 3]
        inputs = [helper.make_tensor_value_info(given, element, shape)]
        if inputs_too or (inputs_too is None and ir <= 3):
            inputs += [
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                for t in self.initializers
            ]
        outputs = outputs or [helper.make_tensor_value_info(output, element, [batch, classes])]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.initializers)
        opsets = [
            helper.make_opsetid("", self.opset),
            *(helper.make_opsetid(*one) for one in (domains or {}).items()),
        ]
        return helper.make_model(graph, ir_version=ir, opset_imports=opsets, producer_name="")


LAYERS, CHANNELS = (2, 2, 2), (4, 8, 16)
BLOCKS = residual_stages(LAYERS, first="identity")
DEPTH = 14
BOTTLENECKS = {
    "blocks": residual_stages(LAYERS, first="identity"),
    "depth": 20,
}  # the stem has the first stage's channels
SMALL = {"blocks": BLOCKS, "depth": DEPTH}


def value(array: object, kind: type = np.float32) -> np.ndarray:
    return np.asarray(array, kind)
