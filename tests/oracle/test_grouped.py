"""Grouped and depthwise convolutions agree with onnxruntime: groups narrower and wider
than a vector, unequal channels, strides and dilation."""

from __future__ import annotations

from pathlib import Path

import oracle
import pytest
from oracle import compare, dump, images, measured, onnx
from small_graph import Graph

SIZE = (19, 23)

# input channels, output channels, groups, kernel, stride, dilation
GROUPED = [
    (64, 64, 32, 3, 1, 1),
    (64, 64, 16, 3, 1, 1),
    (64, 64, 16, 3, 2, 1),
    (64, 64, 8, 3, 1, 1),
    (64, 64, 4, 3, 2, 1),
    (64, 64, 2, 3, 1, 1),
    (48, 48, 16, 5, 1, 1),
    (40, 40, 8, 3, 1, 2),
    (24, 48, 6, 3, 1, 1),
    (48, 24, 6, 1, 2, 1),
]
DEPTHWISE = [
    (33, 33, 33, 3, 1, 1),
    (64, 64, 64, 5, 2, 1),
    (96, 96, 96, 7, 1, 1),
    (32, 32, 32, 4, 2, 1),
    (20, 20, 20, 3, 1, 4),
    (16, 48, 16, 7, 1, 1),
]


def network(layers: list[tuple]) -> tuple[onnx.ModelProto, list[str]]:
    """Return a model whose layers have a 1x1 convolution before, and a sigmoid behind,
    which keeps values near 1; and the tensors of the layers."""
    graph, outputs, channels = Graph(seed=len(layers)), [], 8
    graph.body()
    for before, after, groups, kernel, stride, dilation in layers:
        x = graph.add("Conv", graph.x, graph.weights(before, channels, 1, 1))
        y = graph.add(
            "Conv",
            x,
            graph.weights(after, before // groups, kernel, kernel),
            group=groups,
            pads=[dilation * (kernel // 2)] * 4,
            strides=[stride, stride],
            dilations=[dilation, dilation],
        )
        outputs.append(graph.add("Relu", y))
        graph.x = graph.add("Sigmoid", outputs[-1])
        channels = after
    score = graph.add("Flatten", graph.add("GlobalAveragePool", graph.x))
    return graph.model(score, ("N", 3, *SIZE)), outputs


@pytest.mark.parametrize("layers", [GROUPED, DEPTHWISE], ids=["grouped", "depthwise"])
def test_groups_agree_with_onnxruntime(
    tmp_path: Path, capsys: pytest.CaptureFixture, layers: list[tuple]
) -> None:
    model, outputs = network(layers)
    path = tmp_path / "groups.onnx"
    onnx.save(model, path)
    x = images((3, 3, *SIZE))
    found = dump(path, x, threads=2, batch=2)
    error = compare(model, found, x, outputs)
    measured(capsys, f"{len(outputs)} layers, largest relative error {error:.1e}")
    assert error <= oracle.TOLERANCE
