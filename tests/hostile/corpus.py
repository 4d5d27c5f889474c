"""The list of hostile files, and small good nets to spoil."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
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
    """`make` gives the content, or makes something at the path itself and gives None."""

    name: str
    status: str
    fragment: str
    make: Callable[[Path], Content | None]
    suffix: str = ".onnx"
    max_file_bytes: int = 0
    external_data: bool = False


CASES: list[Case] = []
CULPRIT = "layer1.0.conv1.weight"  # the tensor that most cases spoil


def case(status: str, fragment: str, **extra: object) -> Callable:
    """Register a function without arguments as the case of its name."""

    def register(function: Callable[[], Content]) -> Callable[[], Content]:
        CASES.append(Case(function.__name__, f"RESNET_{status}", fragment, lambda path: function(), **extra))
        return function

    return register


def table(status: str, values: dict[str, tuple[str, object]], change: Callable[[object], Content]) -> None:
    """Register one case for every entry {name: (fragment, value)}: change(value)."""
    for name, (fragment, value) in values.items():
        CASES.append(Case(name, f"RESNET_{status}", fragment, lambda path, v=value: change(v)))


def special(name: str, status: str, fragment: str) -> Callable:
    """Register a function that makes something at the path itself."""

    def register(function: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Case(name, status, fragment, function))
        return function

    return register


# ---- the good net, and ways to change it ------------------------------------------------------------


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


def small(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray] | None = None, opset: int = 13,
          shape: tuple = ("N", 3, 8, 8)) -> onnx.ModelProto:
    """A net of these nodes alone, from "input" to "logits"."""
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    return helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", opset)])


def ending(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray] | None = None,
           opset: int = 13) -> onnx.ModelProto:
    """`nodes` turn "features" (n,3,1,1) into "logits"."""
    pool = helper.make_node("GlobalAveragePool", ["input"], ["features"], name="pool")
    return small([pool, *nodes], constants, opset)


def one(kind: str, inputs: list[str], outputs: list[str] | None = None, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, outputs or ["logits"], name="culprit", **attributes)


def raw_model(*graph: bytes) -> bytes:
    opset = wire.message(wire.MODEL_OPSET, wire.number(2, 13))
    return wire.number(wire.MODEL_IR_VERSION, 7) + wire.message(wire.MODEL_GRAPH, *graph) + opset
