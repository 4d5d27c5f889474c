"""The list of hostile files, and small good models to spoil."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402
import wire  # noqa: E402

Content = bytes | onnx.ModelProto


@dataclass(frozen=True)
class Case:
    """A hostile file. `make` returns the content, or makes something at the path itself
    and returns None. A model is opened; the resnet program labels an image. A file of
    kind "prefixes" must open as a whole, and every shorter prefix of it must be refused.
    """

    name: str
    status: str
    fragment: str
    make: Callable[[Path], Content | None]
    suffix: str = ".onnx"
    max_file_bytes: int = 0
    external_data: bool = False
    kind: str = "model"  # or "image", "prefixes"
    line: int | None = field(default_factory=lambda: current_line)  # of LINES


# What a model file or an image may try, by its number in the project's list.
LINES = {
    1: "empty; truncated at every byte; over the size cap",
    2: "graphs nested 100,000 deep",
    3: "overlong varint, wrong wire type, tag 0",
    4: "millions of unknown fields of two bytes",
    5: "packed varints: one byte in, eight out",
    6: "dims whose product overflows; zero and negative dims",
    7: "huge dims with tiny raw_data",
    8: "raw_data and float_data both; too little, too much of either",
    9: "unknown or out-of-range element type",
    10: "external data: ../, a/../b, absolute path, embedded NUL",
    11: "external data: symbolic link, hard link, FIFO, device",
    12: "external offset and length beyond the end, or overflowing",
    13: "graph cycle, missing input, duplicate output, node that feeds itself",
    14: "residual Add with mismatched or broadcast shapes",
    15: "huge kernel; stride or dilation 0; kernel larger than its padded input",
    16: "pads negative, huge, of the wrong count; unknown auto_pad",
    17: "group 0, no divisor, or not the weight's",
    18: "variance negative or NaN; weights NaN or infinite",
    19: "quantisation: scale 0, denormal, extreme; zero point out of range; "
    "scales not one per channel",
    20: "plan file: stale, forged, truncated, for another CPU, of another version",
    21: "image and gzip bombs; JPEG of 65500 x 65500; truncated images; "
    "image that is a folder or a FIFO",
}
CASES: list[Case] = []
current_line: int | None = None
CULPRIT = "layer1.0.conv1.weight"  # the tensor that most cases spoil


def line(number: int | None) -> None:
    """Assign the following cases of this file to a line of LINES; None: to no line."""
    global current_line
    assert number is None or number in LINES
    current_line = number


def case(status: str, fragment: str, **extra: object) -> Callable:
    """Register a function without arguments as the case of its name."""

    def register(function: Callable[[], Content]) -> Callable[[], Content]:
        CASES.append(
            Case(function.__name__, f"RESNET_{status}", fragment, lambda path: function(), **extra)
        )
        return function

    return register


def table(
    status: str,
    values: dict[str, tuple[str, object]],
    change: Callable[[object], Content],
    **extra: object,
) -> None:
    """Register one case for every entry {name: (fragment, value)}: change(value)."""
    for name, (fragment, value) in values.items():
        CASES.append(
            Case(name, f"RESNET_{status}", fragment, lambda path, v=value: change(v), **extra)
        )


def special(name: str, status: str, fragment: str, **extra: object) -> Callable:
    """Register a function that makes something at the path itself."""

    def register(function: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Case(name, status, fragment, function, **extra))
        return function

    return register


# ---- the good model, and ways to change it


def good(norm: bool = False, opset: int = 13, **options: object) -> onnx.ModelProto:
    settings = nets.Options(seed=5, width=0.125, size=16, keep_norm=norm, opset=opset, **options)
    return nets.generate("resnet8", settings)[0]


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if n.name == name)


def tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def set_attribute(target: onnx.NodeProto, name: str, value: object) -> None:
    rest = [a for a in target.attribute if a.name != name]
    del target.attribute[:]
    target.attribute.extend([*rest, helper.make_attribute(name, value)])


def set_tensor(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    tensor(model, name).CopyFrom(numpy_helper.from_array(value, name))


def conv_with(**attributes: object) -> onnx.ModelProto:
    model = good()
    for name, value in attributes.items():
        set_attribute(node(model, "layer1.0.conv1"), name, value)
    return model


def node_with(name: str, attribute: str, value: object, **options: object) -> onnx.ModelProto:
    model = good(**options)
    set_attribute(node(model, name), attribute, value)
    return model


def small(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 13,
    shape: tuple = ("N", 3, 8, 8),
) -> onnx.ModelProto:
    """Return a model of these nodes alone, from "input" to "logits"."""
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    initializers = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    return helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", opset)])


def ending(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray] | None = None, opset: int = 13
) -> onnx.ModelProto:
    """Return a model whose `nodes` turn "features" (n,3,1,1) into "logits"."""
    pool = helper.make_node("GlobalAveragePool", ["input"], ["features"], name="pool")
    return small([pool, *nodes], constants, opset)


def one(
    kind: str, inputs: list[str], outputs: list[str] | None = None, **attributes: object
) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, outputs or ["logits"], name="culprit", **attributes)


def raw_model(*graph: bytes) -> bytes:
    opset = wire.message(wire.MODEL_OPSET, wire.number(2, 13))
    return wire.number(wire.MODEL_IR_VERSION, 7) + wire.message(wire.MODEL_GRAPH, *graph) + opset
