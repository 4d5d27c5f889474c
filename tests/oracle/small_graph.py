"""Small residual networks, node by node, that tests run here and in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
from oracle import onnx

helper, numpy_helper = onnx.helper, onnx.numpy_helper
SAMPLES = 3


class Graph:
    """A small residual network whose tail a test adds. `x` is the tensor at its end."""

    def __init__(self, seed: int = 0, opset: int = 17) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.x = "x"

    def constant(self, value: object) -> str:
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.random.uniform(-0.5, 0.5, shape).astype(np.float32))

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name + "_n", **attributes))
        return name

    def body(self, channels: int = 8, inputs: int = 3) -> Graph:
        stem = self.weights(channels, inputs, 3, 3)
        stem = self.add("Conv", self.x, stem, pads=[1, 1, 1, 1])
        stem = self.add("Relu", stem)
        branch = self.add("Conv", stem, self.weights(channels, channels, 3, 3), pads=[1, 1, 1, 1])
        self.x = self.add("Relu", self.add("Add", branch, stem))
        return self

    def pooled(self) -> str:
        return self.add("Flatten", self.add("GlobalAveragePool", self.body().x))

    def linear(self, outputs: int = 8) -> str:
        return self.add("Gemm", self.pooled(), self.weights(8, outputs))

    def model(self, output: str, shape: tuple = ("N", 3, 6, 5)) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "tail",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
            self.constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )


def run(model: onnx.ModelProto, folder: Path, x: np.ndarray, *options: object) -> np.ndarray:
    path = folder / "tail.onnx"
    onnx.save(model, path)
    return oracle.dump(path, x, batch=2, options=options).scores


def compare(model: onnx.ModelProto, folder: Path, channels_last: bool = False) -> float:
    """Compare the output with onnxruntime's. `channels_last`: the input is (n,h,w,c)."""
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = oracle.images((SAMPLES, *shape[1:]))
    expected = oracle.reference(model, x, [model.graph.output[0].name])[0]
    planar = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if channels_last else x
    found = run(model, folder, planar)
    assert found.shape == (SAMPLES, expected.size // SAMPLES)
    error = oracle.relative_error(found, expected.reshape(found.shape))
    assert error <= oracle.TOLERANCE
    return error
