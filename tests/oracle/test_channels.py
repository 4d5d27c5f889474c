"""Channels of the input that the graph reorders or repeats, against onnxruntime. They are
folded into the first convolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import onnx
from small_graph import Graph, compare, run

MEAN, STD = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.3, 0.25], np.float32)


def gather(g: Graph, x: str, axis: int) -> str:
    return g.add("Gather", x, g.constant(np.array([2, 1, 0])), axis=axis)


def gather_from_the_end(g: Graph, x: str, axis: int) -> str:
    return g.add("Gather", x, g.constant(np.array([-1, 0, -2])), axis=axis)


def gather_nd(g: Graph, x: str, axis: int) -> str:
    """As PyTorch writes x[:, [2, 1, 0]] and x[..., [2, 1, 0]]."""
    return index_channels(g, x, axis, [2, 1, 0])


def gather_nd_from_the_end(g: Graph, x: str, axis: int) -> str:
    return index_channels(g, x, axis, [-1, 0, -2])


def index_channels(g: Graph, x: str, axis: int, order: list[int]) -> str:
    x = g.add("Transpose", x, perm=[1, 0, 2, 3] if axis == 1 else [3, 0, 1, 2])
    x = g.add("GatherND", x, g.constant(np.array(order).reshape(3, 1)))
    return g.add("Transpose", x, perm=[1, 0, 2, 3] if axis == 1 else [1, 2, 3, 0])


def backward_slice(g: Graph, x: str, axis: int) -> str:
    numbers = [np.array([-1]), np.array([-(2**31)]), np.array([axis]), np.array([-1])]
    return g.add("Slice", x, *(g.constant(number) for number in numbers))


def split_and_concat(g: Graph, x: str, axis: int) -> str:
    node = onnx.helper.make_node("Split", [x], ["r", "g", "b"], "split", axis=axis)
    g.nodes.append(node)
    return g.add("Concat", "b", "g", "r", axis=axis)


def uneven_split(g: Graph, x: str, axis: int) -> str:
    sizes = g.constant(np.array([1, 2]))
    node = onnx.helper.make_node("Split", [x, sizes], ["one", "two"], "split", axis=axis)
    g.nodes.append(node)
    return g.add("Concat", "two", "one", axis=axis)


def slices_and_concat(g: Graph, x: str, axis: int) -> str:
    parts = []
    for i in (2, 0, 1):
        numbers = [np.array([i]), np.array([i + 1]), np.array([axis])]
        parts.append(g.add("Slice", x, *(g.constant(number) for number in numbers)))
    return g.add("Concat", *parts, axis=axis)


def transform_input(g: Graph, x: str, axis: int) -> str:
    """torchvision's transform_input: each channel taken, scaled, shifted, joined."""
    parts = []
    for i in range(3):
        part = g.add("Gather", x, g.constant(np.array(i)), axis=axis)
        part = g.add("Unsqueeze", part, g.constant(np.array([axis])))
        part = g.add("Mul", part, g.constant(np.float32(0.3 + i)))
        parts.append(g.add("Add", part, g.constant(np.float32(0.1 - i))))
    return g.add("Concat", *parts, axis=axis)


ORDERS = [
    gather,
    gather_from_the_end,
    gather_nd,
    gather_nd_from_the_end,
    backward_slice,
    split_and_concat,
    uneven_split,
    slices_and_concat,
    transform_input,
]


def per_channel(g: Graph, numbers: np.ndarray, axis: int) -> str:
    return g.constant(numbers.reshape((1, 3, 1, 1) if axis == 1 else (1, 1, 1, 3)))


def normalise(g: Graph, x: str, axis: int) -> str:
    x = g.add("Sub", x, per_channel(g, MEAN, axis))
    return g.add("Div", x, per_channel(g, STD, axis))


def finish(g: Graph, x: str, axis: int) -> str:
    g.x = g.add("Transpose", x, perm=[0, 3, 1, 2]) if axis == 3 else x
    return g.add("Flatten", g.add("GlobalAveragePool", g.body().x))


@pytest.mark.parametrize("axis", [1, 3], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("place", ["bare", "before", "behind", "padded"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
def test_orders(order, place: str, axis: int, tmp_path: Path) -> None:
    g = Graph()
    x = normalise(g, "x", axis) if place == "before" else "x"
    x = order(g, x, axis)
    if place == "behind":
        x = normalise(g, x, axis)
    if place == "padded":
        pads = [0, 0, 1, 1, 0, 0, 2, 0] if axis == 1 else [0, 1, 1, 0, 0, 2, 0, 0]
        x = g.add("Pad", normalise(g, x, axis), g.constant(np.array(pads)))
    y = finish(g, x, axis)
    shape = ("N", 3, 6, 5) if axis == 1 else ("N", 6, 5, 3)
    compare(g.model(y, shape), tmp_path, channels_last=axis == 3)
    found = oracle.dump(tmp_path / "tail.onnx", oracle.images((1, 3, 6, 5)))
    assert found.depth == 2  # the stem and the block's one: none for the order
    if order is not transform_input:
        assert any("reorders the channels of its input 'x'" in text for _, text in found.findings)


def expand(g: Graph, x: str, axis: int) -> str:
    sizes = [1, 1, 1, 1]
    sizes[axis] = 3
    return g.add("Expand", x, g.constant(np.array(sizes)))


def expand_to_shape(g: Graph, x: str, axis: int) -> str:
    sizes = [-1, 3, 6, 5] if axis == 1 else [-1, 6, 5, 3]
    batch = g.add("Gather", g.add("Shape", x), g.constant(np.array([0])), axis=0)
    return g.add("Expand", x, g.add("Concat", batch, g.constant(np.array(sizes[1:])), axis=0))


def tile(g: Graph, x: str, axis: int) -> str:
    repeats = [1, 1, 1, 1]
    repeats[axis] = 3
    return g.add("Tile", x, g.constant(np.array(repeats)))


def concat(g: Graph, x: str, axis: int) -> str:
    return g.add("Concat", x, x, x, axis=axis)


def repeated_index(g: Graph, x: str, axis: int) -> str:
    return g.add("Gather", x, g.constant(np.array([0, 0, 0])), axis=axis)


def broadcast(g: Graph, x: str, axis: int) -> str:
    """Arithmetic with a constant of three channels repeats the only one of the input."""
    return g.add("Mul", g.add("Sub", x, per_channel(g, MEAN, axis)), g.constant(np.float32(2)))


def repeated_index_nd(g: Graph, x: str, axis: int) -> str:
    return index_channels(g, x, axis, [0, -1, 0])


REPEATS = [expand, expand_to_shape, tile, concat, broadcast, repeated_index, repeated_index_nd]


@pytest.mark.parametrize("axis", [1, 3], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("normalised", ["bare", "alike", "by_channel"])
@pytest.mark.parametrize("repeat", REPEATS, ids=lambda repeat: repeat.__name__)
def test_grey(repeat, normalised: str, axis: int, tmp_path: Path) -> None:
    g = Graph()
    x = repeat(g, "x", axis)
    if normalised == "alike":
        x = g.add("Div", x, g.constant(np.float32(0.3)))
    if normalised == "by_channel":
        x = normalise(g, x, axis)
    y = finish(g, x, axis)
    shape = ("N", 1, 6, 5) if axis == 1 else ("N", 6, 5, 1)
    compare(g.model(y, shape), tmp_path, channels_last=axis == 3)


@pytest.mark.parametrize("place", ["before", "behind"])
def test_merged_transposes(place: str, tmp_path: Path) -> None:
    """PyTorch's optimiser joins the Transpose behind the GatherND with that to NCHW, and
    those between two GatherNDs."""
    g = Graph()
    x = normalise(g, "x", 3) if place == "before" else "x"
    x = g.add("Transpose", x, perm=[3, 0, 1, 2])
    x = g.add("GatherND", x, g.constant(np.array([[2], [0], [1]])))
    x = g.add("GatherND", x, g.constant(np.array([[1], [0], [2]])))
    x = g.add("Transpose", x, perm=[1, 0, 2, 3])
    if place == "behind":
        x = normalise(g, x, 1)
    compare(g.model(finish(g, x, 1), ("N", 6, 5, 3)), tmp_path, channels_last=True)


def test_a_selection_with_two_readers(tmp_path: Path) -> None:
    """It stays a 1x1 convolution."""
    g = Graph()
    x = gather(g, "x", 1)
    a = g.add("Conv", x, g.weights(4, 3, 3, 3), pads=[1, 1, 1, 1])
    b = g.add("Conv", x, g.weights(4, 3, 1, 1))
    y = g.add("Flatten", g.add("GlobalAveragePool", g.add("Relu", g.add("Add", a, b))))
    compare(g.model(y), tmp_path)


def test_channels_of_layers_are_refused(tmp_path: Path) -> None:
    """Res2Net splits the channels of layers."""
    g = Graph()
    x = g.body(32).x
    node = onnx.helper.make_node("Split", [x], ["one", "two"], "split", axis=1)
    g.nodes.append(node)
    y = g.add("GlobalAveragePool", g.add("Add", "one", "two"))
    path = tmp_path / "split.onnx"
    onnx.save(g.model(y), path)
    done, _ = oracle.run_dump(path, oracle.images((1, 3, 6, 5)), tmp_path, [])
    assert "models that split channels (Res2Net, SKNet, DLA) are not accepted" in done.stderr


@pytest.mark.parametrize("axis", [1, 3], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("place", ["first", "behind the order"])
def test_bytes(place: str, axis: int, tmp_path: Path) -> None:
    """A uint8 input takes floats of 0 to 255 here, which preprocessing gives."""
    g = Graph()
    x = "x" if place == "first" else gather(g, "x", axis)
    x = g.add("Cast", x, to=onnx.TensorProto.FLOAT)
    x = normalise(g, g.add("Div", x, g.constant(np.float32(255))), axis)
    shape = ("N", 3, 6, 5) if axis == 1 else ("N", 6, 5, 3)
    model = g.model(finish(g, x, axis), shape)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    pixels = np.random.default_rng(5).integers(0, 256, (3, *shape[1:]), np.uint8)
    expected = oracle.reference(model, pixels, [model.graph.output[0].name])[0]
    planar = pixels if axis == 1 else pixels.transpose(0, 3, 1, 2)
    found = run(model, tmp_path, np.ascontiguousarray(planar.astype(np.float32)))
    assert oracle.relative_error(found, expected) <= oracle.TOLERANCE
    assert any(
        "which fits images of 0 to 255" in text
        for _, text in oracle.dump(tmp_path / "tail.onnx", oracle.images((1, 3, 6, 5))).findings
    )


def test_an_input_without_a_shape(tmp_path: Path) -> None:
    g = Graph()
    model = g.model(g.linear())
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "tail.onnx")
    with pytest.raises(AssertionError, match="input 'x' declares no shape"):
        oracle.dump(tmp_path / "tail.onnx", oracle.images((1, 3, 6, 5)))
