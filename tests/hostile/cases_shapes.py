"""Hostile shapes and constants, which the loader computes before it runs anything."""

from __future__ import annotations

import numpy as np
import onnx
from corpus import Content, case, ending, good, line, one, set_tensor, small, table
from onnx import TensorProto, helper

# ---- shapes and constants that are computed while loading

line(None)


def reshape(shape: list[int], **attributes: object) -> onnx.ModelProto:
    return ending(
        [one("Reshape", ["features", "shape"], **attributes)], {"shape": np.array(shape, np.int64)}
    )


table(
    "ERROR_FORMAT",
    {
        "reshape_to_another_size": ("culprit", [0, 4]),
        "reshape_with_two_unknowns": ("culprit", [-1, -1]),
        "reshape_to_minus_2": ("culprit", [0, -2]),
        "reshape_that_overflows": ("culprit", [2**62, 2**62]),
        "reshape_zero_beyond_the_rank": ("culprit", [0, 3, 1, 1, 0]),
    },
    reshape,
)


@case("ERROR_FORMAT", "culprit")
def reshape_to_zero_images() -> Content:
    return reshape([0, 3], allowzero=1)


def computed(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Return a model whose `nodes` compute "shape", the target shape of its features."""
    return ending(
        [*nodes, helper.make_node("Reshape", ["features", "shape"], ["logits"], name="reshape")],
        constants,
    )


def index(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@case("ERROR_LIMIT", "culprit")
def constant_of_2_to_40_numbers() -> Content:
    return computed([one("ConstantOfShape", ["size"], ["shape"])], {"size": index(2**40)})


@case("ERROR_FORMAT", "culprit")
def constant_of_negative_size() -> Content:
    return computed([one("ConstantOfShape", ["size"], ["shape"])], {"size": index(-1)})


@case("ERROR_FORMAT", "culprit")
def constant_whose_size_overflows() -> Content:
    return computed([one("ConstantOfShape", ["size"], ["shape"])], {"size": index(2**33, 2**33)})


@case("ERROR_LIMIT", "")
def constants_that_double_forty_times() -> Content:
    """Concat of a constant with itself, repeated: 2^40 numbers from a small file."""
    names = [f"c{i}" for i in range(40)] + ["shape"]
    doubling = [
        helper.make_node("Concat", [a, a], [b], name=b, axis=0) for a, b in zip(names, names[1:])
    ]
    return computed(doubling, {"c0": index(1, 3)})


@case("ERROR_FORMAT", "culprit")
def gather_beyond_the_end() -> Content:
    nodes = [
        helper.make_node("Shape", ["features"], ["s"]),
        one("Gather", ["s", "i"], ["shape"], axis=0),
    ]
    return computed(nodes, {"i": index(2**40)})


@case("ERROR_FORMAT", "culprit")
def gather_axis_out_of_range() -> Content:
    nodes = [
        helper.make_node("Shape", ["features"], ["s"]),
        one("Gather", ["s", "i"], ["shape"], axis=7),
    ]
    return computed(nodes, {"i": index(0)})


def gather_nd(indices: np.ndarray) -> onnx.ModelProto:
    """Return a model that takes channels `indices` of its input, as PyTorch writes it."""
    nodes = [
        helper.make_node("Transpose", ["input"], ["exchanged"], perm=[1, 0, 2, 3]),
        one("GatherND", ["exchanged", "indices"], ["taken"]),
        helper.make_node("Transpose", ["taken"], ["back"], perm=[1, 0, 2, 3]),
        helper.make_node("GlobalAveragePool", ["back"], ["logits"]),
    ]
    return small(nodes, {"indices": indices})


table(
    "ERROR_FORMAT",
    {
        "gather_nd_beyond_the_end": ("culprit", index(2**40).reshape(1, 1)),
        "gather_nd_before_the_front": ("culprit", index(-(2**63)).reshape(1, 1)),
        "gather_nd_of_float_indices": ("culprit", np.zeros((3, 1), np.float32)),
    },
    gather_nd,
)
table(
    "ERROR_UNSUPPORTED",
    {
        "gather_nd_of_no_channel": ("culprit", np.zeros((0, 1), np.int64)),
        "gather_nd_of_a_million_channels": ("culprit", np.zeros((1000000, 1), np.int64)),
        "gather_nd_of_single_numbers": ("culprit", np.zeros((3, 4), np.int64)),
    },
    gather_nd,
)


def slice_constant(starts: int, ends: int, axes: int, steps: int) -> onnx.ModelProto:
    values = {
        "starts": index(starts),
        "ends": index(ends),
        "axes": index(axes),
        "steps": index(steps),
    }
    return computed(
        [one("Slice", ["values", *values], ["shape"])], {"values": index(1, 3, 1, 1), **values}
    )


table(
    "ERROR_FORMAT",
    {
        "slice_step_0": ("culprit", (0, 4, 0, 0)),
        "slice_axis_out_of_range": ("culprit", (0, 4, 3, 1)),
        "slice_axis_of_int64_min": ("culprit", (0, 4, -(2**63), 1)),
    },
    lambda arguments: slice_constant(*arguments),
)
table(
    "ERROR_FORMAT",
    {
        "slice_to_nothing": ("", (3, 1, 0, 1)),
        "slice_step_of_int64_min": ("", (2**63 - 1, -(2**63), 0, -(2**63))),
        "slice_ends_of_int64_min": ("", (-(2**63), -(2**63), 0, 1)),
    },
    lambda arguments: slice_constant(*arguments),
)


@case("ERROR_FORMAT", "culprit")
def slices_of_different_lengths() -> Content:
    values = {"starts": index(0), "ends": index(2, 3), "axes": index(0)}
    return computed(
        [one("Slice", ["values", *values], ["shape"])], {"values": index(1, 3, 1, 1), **values}
    )


@case("ERROR_FORMAT", "culprit")
def concat_axis_out_of_range() -> Content:
    return computed([one("Concat", ["a", "a"], ["shape"], axis=4)], {"a": index(0, 3)})


@case("ERROR_FORMAT", "culprit")
def transpose_with_an_axis_twice() -> Content:
    nodes = [
        one("Transpose", ["a"], ["t"], perm=[0, 0]),
        helper.make_node("Reshape", ["t", "flat"], ["shape"], name="flat_shape"),
    ]
    return computed(nodes, {"a": np.array([[1, 3]], np.int64), "flat": index(-1)})


@case("ERROR_FORMAT", "culprit")
def unsqueeze_axis_out_of_range() -> Content:
    return computed(
        [one("Unsqueeze", ["a", "axes"], ["shape"])], {"a": np.int64(3), "axes": index(5)}
    )


@case("ERROR_FORMAT", "culprit")
def squeeze_axis_twice() -> Content:
    return ending([one("Squeeze", ["features", "axes"])], {"axes": index(2, 2)})


@case("ERROR_FORMAT", "culprit")
def squeeze_of_three_channels() -> Content:
    return ending([one("Squeeze", ["features", "axes"])], {"axes": index(1)})


@case("ERROR_UNSUPPORTED", "culprit")
def cast_to_text() -> Content:
    return computed([one("Cast", ["a"], ["shape"], to=TensorProto.STRING)], {"a": index(0, 3)})


@case("ERROR_FORMAT", "culprit")
def flatten_axis_out_of_range() -> Content:
    return ending([one("Flatten", ["features"], axis=-9)])


def gemm(weight: np.ndarray, bias: np.ndarray, **attributes: object) -> onnx.ModelProto:
    flat = helper.make_node("Flatten", ["features"], ["flat"], name="flat")
    return ending([flat, one("Gemm", ["flat", "w", "b"], **attributes)], {"w": weight, "b": bias})


@case("ERROR_FORMAT", "culprit")
def gemm_of_mismatched_shapes() -> Content:
    return gemm(np.ones((4, 10), np.float32), np.ones(10, np.float32))


@case("ERROR_FORMAT", "culprit")
def gemm_bias_of_wrong_length() -> Content:
    return gemm(np.ones((3, 10), np.float32), np.ones(9, np.float32))


@case("ERROR_UNSUPPORTED", "culprit")
def gemm_with_transposed_features() -> Content:
    return gemm(np.ones((3, 10), np.float32), np.ones(10, np.float32), transA=1)


@case("ERROR_FORMAT", "culprit")
def gemm_alpha_nan() -> Content:
    return gemm(np.ones((3, 10), np.float32), np.ones(10, np.float32), alpha=float("nan"))


@case("ERROR_FORMAT", "culprit")
def softmax_axis_out_of_range() -> Content:
    flat = helper.make_node("Flatten", ["features"], ["flat"], name="flat")
    return ending([flat, one("Softmax", ["flat"], axis=9)])


def option_a(name: str, value: list[int]) -> onnx.ModelProto:
    model = good()
    set_tensor(model, f"layer2.0.shortcut.{name}", np.array(value, np.int64))
    return model


SHORTCUT = "layer2.0.shortcut"
table(
    "ERROR_FORMAT",
    {
        "shortcut_step_0": (SHORTCUT, ("steps", [0, 2])),
        "shortcut_starts_of_wrong_count": (SHORTCUT, ("starts", [0, 0, 0])),
        "shortcut_pads_of_wrong_count": (SHORTCUT, ("pads", [0, 1, 0, 0])),
        "shortcut_axes_twice": (SHORTCUT, ("axes", [2, 2])),
        "shortcut_starts_beyond_the_end": (SHORTCUT, ("starts", [16, 16])),
    },
    lambda arguments: option_a(*arguments),
)
table(
    "ERROR_UNSUPPORTED",
    {
        "shortcut_step_negative": (SHORTCUT, ("steps", [-1, -1])),
        "shortcut_pads_negative": (SHORTCUT, ("pads", [0, -1, 0, 0, 0, 3, 0, 0])),
        "shortcut_pads_the_batch": (SHORTCUT, ("pads", [1, 1, 0, 0, 0, 1, 0, 0])),
        "shortcut_pads_of_int64_max": (
            SHORTCUT,
            ("pads", [0, 2**63 - 1, 0, 0, 0, 2**63 - 1, 0, 0]),
        ),
        "shortcut_pads_of_2_to_33": (SHORTCUT, ("pads", [0, 2**33, 0, 0, 0, 2**33, 0, 0])),
    },
    lambda arguments: option_a(*arguments),
)
