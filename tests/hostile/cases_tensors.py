"""Hostile tensors: sizes, types, numbers."""

from __future__ import annotations

import numpy as np
import onnx
from corpus import (
    CULPRIT,
    Content,
    case,
    good,
    line,
    node_with,
    one,
    set_tensor,
    small,
    table,
    tensor,
)
from onnx import TensorProto, helper, numpy_helper

# ---- 6 to 9: tensors


def weight_with(
    dims: list[int] | None = None,
    raw: bytes | None = None,
    data_type: int | None = None,
    floats: list[float] | None = None,
) -> onnx.ModelProto:
    model = good()
    target = tensor(model, "layer1.0.conv1.weight")
    if dims is not None:
        target.dims[:] = dims
    if raw is not None:
        target.raw_data = raw
    if data_type is not None:
        target.data_type = data_type
    target.float_data.extend(floats or [])
    return model


line(6)
table(
    "ERROR_FORMAT",
    {
        "dims_that_overflow": (CULPRIT, [2**32, 2**32]),
        "dims_whose_bytes_overflow": (CULPRIT, [2**31, 2**31]),
        "dims_zero": (CULPRIT, [2, 0, 3, 3]),
        "dims_negative": (CULPRIT, [2, -2, 3, 3]),
        "dims_of_int64_min": (CULPRIT, [-(2**63)] * 2),
        "dims_none": (CULPRIT, []),
    },
    lambda dims: weight_with(dims=dims),
)
line(7)
table(
    "ERROR_FORMAT",
    {
        "dims_huge_with_little_data": (CULPRIT, [1 << 20, 1 << 10, 3, 3]),
        "dims_of_a_gigabyte_with_little_data": (CULPRIT, [2, 2, 1 << 13, 1 << 13]),
        "dims_of_2_to_62_with_little_data": (CULPRIT, [1 << 31, 1 << 31, 1, 1]),
    },
    lambda dims: weight_with(dims=dims),
)
line(8)
table(
    "ERROR_FORMAT",
    {
        "raw_data_too_short": (CULPRIT, bytes(140)),
        "raw_data_too_long": (CULPRIT, bytes(148)),
        "raw_data_not_whole_floats": (CULPRIT, bytes(143)),
        "raw_data_empty": (CULPRIT, b""),
    },
    lambda raw: weight_with(raw=raw),
)


@case("ERROR_FORMAT", CULPRIT)
def raw_data_and_float_data() -> Content:
    return weight_with(floats=[1.0] * 36)


@case("ERROR_FORMAT", CULPRIT)
def float_data_too_short() -> Content:
    model = weight_with(floats=[1.0] * 35)
    tensor(model, CULPRIT).ClearField("raw_data")
    return model


@case("ERROR_FORMAT", CULPRIT)
def float_data_too_long() -> Content:
    model = weight_with(floats=[1.0] * 37)
    tensor(model, CULPRIT).ClearField("raw_data")
    return model


line(None)


@case("ERROR_FORMAT", CULPRIT)
def tensor_twice() -> Content:
    model = good()
    model.graph.initializer.append(tensor(model, CULPRIT))
    return model


line(9)
table(
    "ERROR_UNSUPPORTED",
    {
        "element_type_string": (CULPRIT, TensorProto.STRING),
        "element_type_complex": (CULPRIT, TensorProto.COMPLEX64),
        "element_type_99": (CULPRIT, 99),
        "element_type_negative": (CULPRIT, -1),
        "element_type_undefined": (CULPRIT, 0),
    },
    lambda data_type: weight_with(data_type=data_type),
)


@case("ERROR_FORMAT", CULPRIT)
def element_type_integer_for_a_weight() -> Content:
    return weight_with(data_type=TensorProto.INT32)


# ---- 18: numbers

line(18)


def with_norm(name: str, index: int, value: float) -> onnx.ModelProto:
    model = good(norm=True)
    values = numpy_helper.to_array(tensor(model, f"layer1.0.conv1.bn.{name}")).copy()
    values[index] = value
    set_tensor(model, f"layer1.0.conv1.bn.{name}", values)
    return model


table(
    "ERROR_FORMAT",
    {
        "variance_negative": ("layer1.0.conv1.bn", ("var", 1, -1.0)),
        "variance_nan": ("layer1.0.conv1.bn", ("var", 0, float("nan"))),
        "variance_infinite": ("layer1.0.conv1.bn", ("var", 0, float("inf"))),
        "gamma_nan": ("layer1.0.conv1.bn", ("gamma", 0, float("nan"))),
        "beta_infinite": ("layer1.0.conv1.bn", ("beta", 0, float("-inf"))),
        "mean_nan": ("layer1.0.conv1.bn", ("mean", 1, float("nan"))),
    },
    lambda arguments: with_norm(*arguments),
)


def with_weight(name: str, value: float) -> onnx.ModelProto:
    model = good()
    values = numpy_helper.to_array(tensor(model, name)).copy()
    values.flat[0] = value
    set_tensor(model, name, values)
    return model


table(
    "ERROR_FORMAT",
    {
        "weight_nan": (CULPRIT, (CULPRIT, float("nan"))),
        "weight_infinite": (CULPRIT, (CULPRIT, float("inf"))),
        "bias_nan": ("layer1.0.conv1", ("layer1.0.conv1.bias", float("nan"))),
        "classifier_weight_nan": ("fc", ("fc.weight", float("nan"))),
        "classifier_bias_infinite": ("fc", ("fc.bias", float("inf"))),
    },
    lambda arguments: with_weight(*arguments),
)


@case("ERROR_FORMAT", "layer1.0.conv1")
def folding_overflows() -> Content:
    """Each number is finite; gamma / sqrt(variance) * weight is not."""
    model = good(norm=True)
    set_tensor(model, "layer1.0.conv1.bn.var", np.zeros(2, np.float32))
    set_tensor(model, "layer1.0.conv1.bn.gamma", np.full(2, 3e38, np.float32))
    return model


table(
    "ERROR_FORMAT",
    {
        "epsilon_negative": ("layer1.0.conv1.bn", -1e-3),
        "epsilon_nan": ("layer1.0.conv1.bn", float("nan")),
    },
    lambda value: node_with("layer1.0.conv1.bn", "epsilon", value, norm=True),
)


@case("ERROR_FORMAT", "layer1.0.conv1.bn")
def norm_of_wrong_length() -> Content:
    model = good(norm=True)
    set_tensor(model, "layer1.0.conv1.bn.mean", np.zeros(3, np.float32))
    return model


line(None)


@case("ERROR_UNSUPPORTED", "training_mode")
def norm_in_training_mode() -> Content:
    return node_with("layer1.0.conv1.bn", "training_mode", 1, norm=True, opset=14)


def clip(low: float, high: float) -> onnx.ModelProto:
    nodes = [
        one("Clip", ["input", "low", "high"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["g"]),
        helper.make_node("Flatten", ["g"], ["logits"]),
    ]
    return small(nodes, {"low": np.float32(low), "high": np.float32(high)})


table(
    "ERROR_FORMAT",
    {
        "clip_bound_nan": ("culprit", (float("nan"), 6.0)),
    },
    lambda bounds: clip(*bounds),
)

# ONNX: Min(max, Max(min, x)), so that all become the maximum
table("OK", {"clip_bounds_reversed": ("", (6.0, 0.0))}, lambda bounds: clip(*bounds))
