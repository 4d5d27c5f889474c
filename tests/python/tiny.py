"""Networks of one convolution and one linear layer, for images of 8 x 8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SIDE = 8


def tiny(
    path: Path,
    *,
    channels: int = 3,
    classes: int = 4,
    ending: str = "",
    head: bool = True,
    size: tuple[int, int] = (SIDE, SIDE),
) -> Path:
    """Save a network. `ending` is an operator on the scores, e.g. "Sigmoid"; without
    `head` the network ends in the pooled features, an embedding of 8 numbers."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)
    weights = {
        "conv.weight": random.standard_normal((8, channels, 3, 3), np.float32) / 3,
        "fc.weight": random.standard_normal((classes, 8), np.float32),
        "fc.bias": random.standard_normal(classes, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["conv"], name="conv", pads=[1] * 4),
        helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["features"], name="flatten"),
    ]
    last, width = "features", 8
    if head:
        fc = helper.make_node("Gemm", [last, "fc.weight", "fc.bias"], ["fc"], name="fc", transB=1)
        nodes.append(fc)
        last, width = "fc", classes
    if ending:
        nodes.append(helper.make_node(ending, [last], ["y"], name="ending"))
        last = "y"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, *size])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", width])],
        [
            numpy_helper.from_array(value, name)
            for name, value in weights.items()
            if head or name == "conv.weight"
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="test"
    )
    onnx.save(model, path)
    return path
