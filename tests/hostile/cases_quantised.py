"""Hostile numbers of quantisation. Int8 models are refused today, so each case ends in
that refusal."""

from __future__ import annotations

import numpy as np
import onnx
from corpus import CULPRIT, Content, case, good, line, node, one, small, table, tensor
from onnx import helper, numpy_helper

ADVICE = "int8 models are not accepted yet"

line(19)


def quantised(scale: object, zero_point: object) -> onnx.ModelProto:
    """Pass the input through QuantizeLinear and back, as exporters do around every
    layer."""
    constants = {"scale": np.asarray(scale, np.float32), "zero": np.asarray(zero_point)}
    axis = {"axis": 1} if constants["scale"].ndim else {}
    nodes = [
        one("QuantizeLinear", ["input", "scale", "zero"], ["q"], **axis),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"], name="back", **axis),
        helper.make_node("GlobalAveragePool", ["x"], ["g"], name="pool"),
        helper.make_node("Flatten", ["g"], ["logits"], name="flatten"),
    ]
    return small(nodes, constants)


table(
    "ERROR_UNSUPPORTED",
    {
        "scale_0": (ADVICE, (0.0, np.int8(0))),
        "scale_denormal": (ADVICE, (1e-45, np.int8(0))),
        "scale_negative": (ADVICE, (-1.0, np.int8(0))),
        "scale_nan": (ADVICE, (float("nan"), np.int8(0))),
        "scale_infinite": (ADVICE, (float("inf"), np.int8(0))),
        "zero_point_of_another_type": (ADVICE, (1.0, np.int32(2**31 - 1))),
        "scales_not_one_per_channel": (ADVICE, (np.ones(2), np.zeros(2, np.int8))),
        "scales_none": (ADVICE, (np.ones(0), np.zeros(0, np.int8))),
    },
    lambda arguments: quantised(*arguments),
)


@case("ERROR_UNSUPPORTED", "com.microsoft")
def scales_of_an_add_far_apart() -> Content:
    """XNNPACK asserts that an addition's scales are within 2^-10 and 2^8 of its
    output's."""
    model = good()
    add = node(model, "layer1.0.add")
    values = {"a_scale": 1e30, "b_scale": 1e-30, "y_scale": 1.0}
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    model.graph.initializer.append(numpy_helper.from_array(np.int8(0), "zero"))
    add.op_type, add.domain = "QLinearAdd", "com.microsoft"
    a, b = add.input
    add.input[:] = [a, "a_scale", "zero", b, "b_scale", "zero", "y_scale", "zero"]
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


@case("ERROR_UNSUPPORTED", ADVICE)
def weights_with_a_scale_of_0() -> Content:
    """Only the weights are quantised: weight = DequantizeLinear(int8, 0)."""
    model = good()
    values = numpy_helper.to_array(tensor(model, CULPRIT))
    tensor(model, CULPRIT).CopyFrom(
        numpy_helper.from_array((values * 10).astype(np.int8), "packed")
    )
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float32), "scale"))
    model.graph.node.insert(
        0,
        helper.make_node("DequantizeLinear", ["packed", "scale"], [CULPRIT], name="widen", axis=0),
    )
    return model
