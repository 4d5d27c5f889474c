"""Ends of graphs against onnxruntime: flattened and plain maps, norms, powers, inner
tensors. The order of the numbers is ONNX's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import onnx
from small_graph import SAMPLES, Graph, compare, run

# ---- maps --------------------------------------------------------------------------


def flattened(g: Graph) -> str:
    return g.add("Flatten", g.body().x)


def flattened_and_cut(g: Graph) -> str:
    return g.add("Reshape", g.body().x, g.constant(np.array([0, 2, -1])))


def plain_map(g: Graph) -> str:
    return g.body().x


def unnormalised_map(g: Graph) -> str:
    return g.add("Conv", g.body().x, g.weights(4, 8, 1, 1))


def channels_last_map(g: Graph) -> str:
    return g.add("Transpose", g.body().x, perm=[0, 2, 3, 1])


def flattened_channels_last(g: Graph) -> str:
    return g.add("Flatten", channels_last_map(g))


def padded_map(g: Graph) -> str:
    return g.add("Pad", g.body().x, g.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2])))


def single_pixels(g: Graph) -> str:
    return g.add("GlobalAveragePool", g.body().x)


def scaled_vector(g: Graph) -> str:
    """Batch norm on a flattened map, as some embedding heads have it."""
    four = [g.weights(240), g.weights(240), g.weights(240), g.constant(np.ones(240, np.float32))]
    return g.add("BatchNormalization", flattened(g), *four)


def scaled_vector_and_linear(g: Graph) -> str:
    return g.add("Gemm", scaled_vector(g), g.weights(240, 5))


def shifted_vector(g: Graph) -> str:
    return g.add("Sub", flattened(g), g.weights(240))


MAPS = [
    flattened,
    flattened_and_cut,
    plain_map,
    unnormalised_map,
    channels_last_map,
    flattened_channels_last,
    padded_map,
    single_pixels,
    scaled_vector,
    scaled_vector_and_linear,
    shifted_vector,
]


@pytest.mark.parametrize("tail", MAPS, ids=lambda tail: tail.__name__)
def test_maps(tail, tmp_path: Path) -> None:
    g = Graph()
    compare(g.model(tail(g)), tmp_path)


# ---- norms -------------------------------------------------------------------------


def eps(g: Graph, value: float = 1e-2) -> str:
    return g.constant(np.float32(value))


def lp_normalization(g: Graph, x: str) -> str:
    return g.add("LpNormalization", x, axis=1, p=2)


def torch_normalize(g: Graph, x: str) -> str:
    """F.normalize: ReduceL2, Clip, Expand to the shape of x, Div."""
    norm = g.add("ReduceL2", x, axes=[1], keepdims=1)
    norm = g.add("Clip", norm, eps(g))
    return g.add("Div", x, g.add("Expand", norm, g.add("Shape", x)))


def torch_norm(g: Graph, x: str) -> str:
    """x / x.norm(dim=1, keepdim=True)"""
    return g.add("Div", x, g.add("ReduceL2", x, axes=[1], keepdims=1))


def torch_norm_unsqueezed(g: Graph, x: str) -> str:
    """x / x.norm(dim=1).unsqueeze(1)"""
    norm = g.add("ReduceL2", x, axes=[1], keepdims=0)
    return g.add("Div", x, g.add("Unsqueeze", norm, g.constant(np.array([1]))))


def norm_of_absolute_values(g: Graph, x: str) -> str:
    return g.add("Div", x, g.add("ReduceL2", g.add("Abs", x), axes=[1], keepdims=1))


def norm_plus_epsilon(g: Graph, x: str) -> str:
    norm = g.add("ReduceL2", x, axes=[1], keepdims=1)
    return g.add("Div", x, g.add("Add", norm, eps(g)))


def epsilon_plus_norm(g: Graph, x: str) -> str:
    norm = g.add("ReduceL2", x, axes=[1], keepdims=1)
    return g.add("Div", x, g.add("Add", eps(g), norm))


def square_root(g: Graph, x: str) -> str:
    squares = g.add("ReduceSum", g.add("Mul", x, x), g.constant(np.array([1])), keepdims=1)
    return g.add("Div", x, g.add("Sqrt", g.add("Add", squares, eps(g))))


def squared_by_pow(g: Graph, x: str) -> str:
    power = g.add("Pow", x, g.constant(np.float32(2)))
    squares = g.add("ReduceSum", power, g.constant(np.array([1])), keepdims=1)
    return g.add("Div", x, g.add("Pow", squares, g.constant(np.float32(0.5))))


def sum_square(g: Graph, x: str) -> str:
    squares = g.add("ReduceSumSquare", x, axes=[1], keepdims=1)
    return g.add("Div", x, g.add("Max", g.add("Sqrt", squares), eps(g)))


def keras_normalize(g: Graph, x: str) -> str:
    """tf.math.l2_normalize: x * rsqrt(max(sum(x * x), epsilon))"""
    squares = g.add("ReduceSum", g.add("Mul", x, x), g.constant(np.array([1])), keepdims=1)
    root = g.add("Sqrt", g.add("Max", squares, eps(g)))
    return g.add("Mul", x, g.add("Reciprocal", root))


def keras_swapped(g: Graph, x: str) -> str:
    squares = g.add("ReduceSum", g.add("Mul", x, x), g.constant(np.array([1])), keepdims=1)
    root = g.add("Sqrt", g.add("Max", eps(g), squares))
    return g.add("Mul", g.add("Div", g.constant(np.float32(1)), root), x)


NORMS = [
    lp_normalization,
    torch_normalize,
    torch_norm,
    torch_norm_unsqueezed,
    norm_of_absolute_values,
    norm_plus_epsilon,
    epsilon_plus_norm,
    square_root,
    squared_by_pow,
    sum_square,
    keras_normalize,
    keras_swapped,
]


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.__name__)
@pytest.mark.parametrize("where", ["vector", "pixel", "map", "flattened"])
def test_norms(norm, where: str, tmp_path: Path) -> None:
    g = Graph()
    x = {
        "vector": g.linear,
        "pixel": lambda: single_pixels(g),
        "map": lambda: g.body().x,
        "flattened": lambda: flattened(g),
    }[where]()
    if where == "vector":
        x = g.add("Mul", x, g.constant(np.float32(0.05)))  # near the epsilon
    compare(g.model(norm(g, x)), tmp_path)


def test_norms_of_later_opsets(tmp_path: Path) -> None:
    """Axes are an input since opset 18."""
    g = Graph(opset=18)
    x = g.linear()
    norm = g.add("ReduceL2", x, g.constant(np.array([-1])), keepdims=1)
    compare(g.model(g.add("Div", x, g.add("Clip", norm, eps(g, 1e-12)))), tmp_path)


def test_a_norm_of_zero(tmp_path: Path) -> None:
    """LpNormalization gives zeros there; F.normalize divides by its epsilon."""
    for norm in (lp_normalization, torch_normalize):
        g = Graph()
        x = g.add("Mul", g.linear(), g.constant(np.float32(0)))
        assert np.all(run(g.model(norm(g, x)), tmp_path, oracle.images((1, 3, 6, 5))) == 0)


def test_other_norms_are_refused(tmp_path: Path) -> None:
    def divided_twice(g: Graph, x: str) -> str:
        norm = g.add("ReduceL2", x, axes=[1], keepdims=1)
        return g.add("Div", g.add("Relu", x), norm)

    def with_two_epsilons(g: Graph, x: str) -> str:
        norm = g.add("ReduceL2", x, axes=[1], keepdims=1)
        return g.add("Div", x, g.add("Max", g.add("Add", norm, eps(g)), eps(g)))

    def of_pixels(g: Graph, x: str) -> str:
        return g.add("Div", x, g.add("ReduceL2", x, axes=[2, 3], keepdims=1))

    def of_order_one(g: Graph, x: str) -> str:
        return g.add("LpNormalization", x, axis=1, p=1)

    def alone(g: Graph, x: str) -> str:
        return g.add("ReduceL2", x, axes=[1], keepdims=1)

    cases = [
        (divided_twice, "by the norm of its own channels"),
        (with_two_epsilons, "it may get an epsilon (Add, Max or Clip), once"),
        (of_pixels, "over other axes than the channels"),
        (of_order_one, "p is 1: 2 is accepted"),
        (alone, "is the norm of an activation"),
    ]
    for norm, text in cases:
        g = Graph()
        path = tmp_path / "tail.onnx"
        onnx.save(g.model(norm(g, g.body().x)), path)
        done, _ = oracle.run_dump(path, oracle.images((1, 3, 6, 5)), tmp_path, [])
        assert done.returncode != 0 and text in done.stderr, done.stderr


# ---- generalised mean pooling ------------------------------------------------------


@pytest.mark.parametrize("p", [2, 3, 2.71, 0.5, 1, 6])
@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool", "ReduceMean"])
def test_gem(p: float, pool: str, tmp_path: Path) -> None:
    g = Graph()
    exponent = g.constant(np.array([p], np.float32))
    x = g.add("Clip", g.body().x, eps(g, 1e-6))
    x = g.add("Pow", x, exponent)
    attributes = {"AveragePool": {"kernel_shape": [6, 5]}, "ReduceMean": {"axes": [-2, -1]}}
    x = g.add(pool, x, **attributes.get(pool, {}))
    x = g.add("Pow", x, g.add("Div", g.constant(np.float32(1)), exponent))
    x = g.add("Flatten", x)
    compare(g.model(lp_normalization(g, g.add("Gemm", x, g.weights(8, 4)))), tmp_path)


def test_powers(tmp_path: Path) -> None:
    """Sqrt and Reciprocal of an activation, and a whole power of negative numbers."""
    g = Graph()
    positive = g.add("Sigmoid", g.linear())
    compare(g.model(g.add("Reciprocal", g.add("Sqrt", positive))), tmp_path)
    g = Graph()
    compare(g.model(g.add("Pow", g.linear(), g.constant(np.array(3)))), tmp_path)
    g = Graph()
    compare(g.model(g.add("Abs", g.linear())), tmp_path)


# ---- inner tensors -----------------------------------------------------------------


def test_any_tensor_can_be_the_output(tmp_path: Path) -> None:
    """Even one that batch norm, ReLU, the shortcut or a gate is fused with."""
    g = Graph()
    four = [g.weights(8), g.weights(8), g.weights(8), g.constant(np.ones(8, np.float32))]
    stem = g.add("Relu", g.add("Conv", "x", g.weights(8, 3, 3, 3), pads=[1, 1, 1, 1]))
    conv = g.add("Conv", stem, g.weights(8, 8, 3, 3), pads=[1, 1, 1, 1])
    norm = g.add("BatchNormalization", conv, *four)
    gate = g.add("Sigmoid", g.add("Conv", g.add("GlobalAveragePool", norm), g.weights(8, 8, 1, 1)))
    g.x = g.add("Relu", g.add("Add", g.add("Mul", norm, gate), stem))
    pooled = g.add("Flatten", g.add("GlobalAveragePool", g.x))
    g.add("Softmax", g.add("Gemm", pooled, g.weights(8, 5)), axis=1)
    model = g.model(g.nodes[-1].output[0])
    path = tmp_path / "inner.onnx"
    onnx.save(model, path)
    x = oracle.images((SAMPLES, 3, 6, 5))
    names = [node.output[0] for node in g.nodes]
    for name, expected in zip(names, oracle.reference(model, x, names)):
        found = oracle.dump(path, x, scores_only=True, options=("--output", name)).scores
        assert oracle.relative_error(found, expected.reshape(SAMPLES, -1)) <= oracle.TOLERANCE, name


# ---- a batch that the file fixes at 1 ----------------------------------------------


def listed(g: Graph, x: str) -> str:
    return g.add("Reshape", x, g.constant(np.array([-1])))


def listed_by_count(g: Graph, x: str) -> str:
    return g.add("Reshape", x, g.constant(np.array([5])))


def squeezed(g: Graph, x: str) -> str:
    return g.add("Squeeze", x, g.constant(np.array([0])))


def first_sample(g: Graph, x: str) -> str:
    return g.add("Gather", x, g.constant(np.array(0)), axis=0)


def last_sample(g: Graph, x: str) -> str:
    return g.add("Gather", x, g.constant(np.array([-1])), axis=0)


LAST = [listed, listed_by_count, squeezed, first_sample, last_sample]


@pytest.mark.parametrize("last", LAST, ids=lambda last: last.__name__)
def test_scores_without_a_batch(last, tmp_path: Path) -> None:
    """Exports for one image drop the batch at the end. Here any batch can be run."""
    x = oracle.images((1, 3, 6, 5))
    g = Graph()
    model = g.model(last(g, g.linear(5)), (1, 3, 6, 5))
    expected = oracle.reference(model, x, [model.graph.output[0].name])[0]
    onnx.save(model, tmp_path / "tail.onnx")
    found = oracle.dump(tmp_path / "tail.onnx", x).scores
    assert oracle.relative_error(found, expected.reshape(1, 5)) <= oracle.TOLERANCE
    twice = oracle.dump(tmp_path / "tail.onnx", np.concatenate([x, x])).scores
    assert np.array_equal(twice, np.concatenate([found, found]))


@pytest.mark.parametrize("last", LAST, ids=lambda last: last.__name__)
@pytest.mark.parametrize("batch", ["N", 2, 1])
def test_other_batches_are_not_dropped(last, batch: object, tmp_path: Path) -> None:
    """A batch of 1 is dropped at the end only."""
    g = Graph()
    y = last(g, g.linear(5))
    y = g.add("Relu", y) if batch == 1 else y
    onnx.save(g.model(y, (batch, 3, 6, 5)), tmp_path / "tail.onnx")
    with pytest.raises(AssertionError, match="batch"):
        oracle.dump(tmp_path / "tail.onnx", oracle.images((1, 3, 6, 5)))


# ---- products with axes of one element ----------------------------------------------


def middle_axis(g: Graph, x: str) -> str:
    x = g.add("MatMul", g.add("Unsqueeze", x, g.constant(np.array([1]))), g.weights(8, 5))
    return g.add("Squeeze", g.add("Add", x, g.weights(5)), g.constant(np.array([1])))


def pooled_channels_last(g: Graph, x: str) -> str:
    """Keras's Dense behind a pool that keeps the dimensions."""
    x = g.add("Reshape", x, g.constant(np.array([-1, 1, 1, 8])))
    x = g.add("Add", g.add("MatMul", x, g.weights(8, 5)), g.weights(5))
    return g.add("Softmax", g.add("Reshape", x, g.constant(np.array([-1, 5]))), axis=1)


def two_layers(g: Graph, x: str) -> str:
    x = g.add("Unsqueeze", x, g.constant(np.array([1, 2])))
    x = g.add("Relu", g.add("MatMul", x, g.weights(8, 6)))
    return g.add("Flatten", g.add("MatMul", x, g.weights(6, 5)))


PRODUCTS = [middle_axis, pooled_channels_last, two_layers]


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.__name__)
def test_products_of_higher_rank(product, tmp_path: Path) -> None:
    g = Graph()
    compare(g.model(product(g, g.pooled())), tmp_path)
