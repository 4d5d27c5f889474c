"""Small ONNX models for the program's tests: a convolution, global pooling, a head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def make_model(
    path: Path,
    outputs: int = 3,
    *,
    channels: int = 3,
    size: tuple[int, int] = (32, 32),
    head: str | None = None,
    metadata: dict[str, str] | None = None,
    seed: int = 0,
) -> Path:
    """Write a model of `outputs` scores. `head`: an operator behind them."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(8, channels, 3, 3)).astype(np.float32)
    weight = rng.normal(size=(outputs, 8)).astype(np.float32)
    bias = rng.normal(size=outputs).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"], "conv", pads=[1] * 4),
        helper.make_node("Relu", ["conv"], ["relu"], "relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], "pool"),
        helper.make_node("Flatten", ["pool"], ["features"], "flatten"),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], "fc", transB=1),
    ]
    output = "logits"
    if head:
        nodes.append(helper.make_node(head, ["logits"], ["scores"], "head"))
        output = "scores"
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", 1, ["N", channels, *size])],
        [helper.make_tensor_value_info(output, 1, ["N", outputs])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    model.ir_version = 8
    onnx.save(model, path)
    return path
