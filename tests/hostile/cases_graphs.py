"""Hostile graphs: edges, adds, windows, groups, too many nodes."""

from __future__ import annotations

import numpy as np
import onnx
from corpus import (
    CULPRIT,
    Content,
    case,
    conv_with,
    ending,
    good,
    line,
    node,
    one,
    set_tensor,
    small,
    table,
    tensor,
)
from onnx import TensorProto, helper, numpy_helper

# ---- 13: graphs

line(13)


def with_input(name: str, index: int, source: str) -> onnx.ModelProto:
    model = good()
    node(model, name).input[index] = source
    return model


@case("ERROR_FORMAT", "layer1.0.conv1")
def cycle() -> Content:
    return with_input("layer1.0.conv1", 0, "layer2.0.relu.out")


@case("ERROR_FORMAT", "layer1.0.conv1")
def feeds_itself() -> Content:
    return with_input("layer1.0.conv1", 0, "layer1.0.conv1.out")


@case("ERROR_FORMAT", "nowhere")
def missing_input() -> Content:
    return with_input("layer1.0.conv1", 0, "nowhere")


@case("ERROR_FORMAT", "nowhere")
def missing_weight() -> Content:
    return with_input("layer1.0.conv1", 1, "nowhere")


@case("ERROR_FORMAT", "layer1.0.conv1")
def no_inputs() -> Content:
    model = good()
    del node(model, "layer1.0.conv1").input[:]
    return model


@case("ERROR_FORMAT", "layer1.0.conv1")
def no_outputs() -> Content:
    model = good()
    del node(model, "layer1.0.conv1").output[:]
    return model


@case("ERROR_FORMAT", "relu1.out")
def duplicate_output() -> Content:
    model = good()
    node(model, "layer1.0.relu1").output[0] = "relu1.out"
    return model


@case("ERROR_FORMAT", "input")
def output_named_as_the_input() -> Content:
    model = good()
    node(model, "layer1.0.relu1").output[0] = "input"
    return model


@case("ERROR_FORMAT", "elsewhere")
def graph_output_that_nothing_computes() -> Content:
    model = good()
    model.graph.output[0].name = "elsewhere"
    return model


line(None)


@case("ERROR_UNSUPPORTED", "does not depend on any layer")
def graph_output_is_the_input() -> Content:
    model = good()
    model.graph.output[0].name = model.graph.input[0].name
    return model


line(13)


@case("ERROR_FORMAT", "output")
def no_graph_output() -> Content:
    model = good()
    del model.graph.output[:]
    return model


@case("ERROR_FORMAT", "input")
def no_graph_input() -> Content:
    model = good()
    del model.graph.input[:]
    return model


line(None)


@case("ERROR_UNSUPPORTED", "input")
def two_graph_inputs() -> Content:
    model = good()
    model.graph.input.append(
        helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 3, 16, 16])
    )
    node(model, "layer1.0.add").input[1] = "second"
    return model


def with_input_shape(shape: tuple) -> onnx.ModelProto:
    model = good()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", TensorProto.FLOAT, shape))
    return model


table(
    "ERROR_UNSUPPORTED",
    {
        "input_of_rank_2": ("input", ("N", 768)),
        "input_of_rank_5": ("input", ("N", 3, 1, 16, 16)),
    },
    with_input_shape,
)
table(
    "OK",
    {
        "input_with_symbolic_channels": ("", ("N", "C", 16, 16)),
    },
    with_input_shape,
)
table(
    "ERROR_FORMAT",
    {
        "input_channels_not_the_weights": ("conv1", ("N", 4, 16, 16)),
        "input_height_minus_2": ("input", ("N", 3, -2, 16)),
        "input_height_negative": ("input", ("N", 3, -16, 16)),
    },
    with_input_shape,
)
table(
    "ERROR_LIMIT",
    {
        "input_height_2_to_40": ("input", ("N", 3, 2**40, 16)),
        "input_of_a_million_squared": ("", ("N", 3, 1 << 20, 1 << 20)),
    },
    with_input_shape,
)


@case("ERROR_UNSUPPORTED", "input")
def input_of_bytes() -> Content:
    model = good()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return model


@case("ERROR_UNSUPPORTED", "Foo")
def unknown_operator() -> Content:
    model = good()
    node(model, "layer1.0.relu1").op_type = "Foo"
    return model


@case("ERROR_UNSUPPORTED", "com.example")
def unknown_domain() -> Content:
    model = good()
    node(model, "layer1.0.relu1").domain = "com.example"
    return model


@case("ERROR_FORMAT", "layer1.0.relu1")
def operator_without_a_name() -> Content:
    model = good()
    node(model, "layer1.0.relu1").ClearField("op_type")
    return model


def with_opset(version: int) -> onnx.ModelProto:
    model = good()
    model.opset_import[0].version = version
    return model


table(
    "ERROR_FORMAT",
    {
        "opset_6_with_the_inputs_of_later_ones": ("Slice, opset 6", 6),
    },
    with_opset,
)
table(
    "ERROR_UNSUPPORTED",
    {
        "opset_29": ("opset 29", 29),
        "opset_0": ("opset 0", 0),
        "opset_negative": ("opset", -1),
        "opset_of_the_future": ("opset 2000", 2000),
    },
    with_opset,
)


# ---- 14: the shortcut's add

line(14)


def add_constant(value: np.ndarray) -> onnx.ModelProto:
    model = good()
    model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), "other"))
    node(model, "layer1.0.add").input[1] = "other"
    return model


@case("ERROR_FORMAT", "layer2.0.add")
def add_of_mismatched_shapes() -> Content:
    return with_input("layer2.0.add", 1, "layer1.0.relu.out")


@case("ERROR_UNSUPPORTED", "layer1.0.add")
def add_that_broadcasts() -> Content:
    model = good()
    model.graph.node.insert(
        5, helper.make_node("GlobalAveragePool", ["relu1.out"], ["small"], name="small")
    )
    node(model, "layer1.0.add").input[1] = "small"
    return model


table(
    "ERROR_FORMAT",
    {
        "add_of_a_constant_of_another_shape": ("layer1.0.add", np.ones((1, 5, 1, 1))),
    },
    add_constant,
)


@case("ERROR_FORMAT", "layer1.0.add")
def add_of_one_input() -> Content:
    model = good()
    del node(model, "layer1.0.add").input[1:]
    return model


# ---- 15 to 17: windows and groups

line(15)

CONV = "layer1.0.conv1"


def windows(status: str, values: dict[str, tuple[str, dict]]) -> None:
    table(status, values, lambda attributes: conv_with(**attributes))


windows(
    "ERROR_FORMAT",
    {
        "stride_0": ("strides", {"strides": [0, 1]}),
        "stride_negative": ("strides", {"strides": [1, -1]}),
        "stride_of_wrong_count": ("strides", {"strides": [1]}),
        "dilation_0": ("dilations", {"dilations": [0, 1]}),
        "dilation_negative": ("dilations", {"dilations": [-1, 1]}),
        "dilation_of_wrong_count": ("dilations", {"dilations": [1, 1, 1]}),
        "kernel_not_the_weights": ("kernel_shape", {"kernel_shape": [5, 5]}),
        "kernel_of_wrong_count": ("kernel_shape", {"kernel_shape": [3]}),
        "kernel_larger_than_the_input": ("kernel", {"pads": [0] * 4, "dilations": [8, 8]}),
    },
)
windows(
    "ERROR_UNSUPPORTED",
    {
        "stride_huge": ("strides", {"strides": [2**31, 2**31]}),
        "dilation_huge": ("dilations", {"dilations": [2**40, 2**40]}),
    },
)
line(16)
windows(
    "ERROR_FORMAT",
    {
        "pads_of_wrong_count": ("pads", {"pads": [1, 1]}),
        "auto_pad_unknown": ("auto_pad", {"auto_pad": "SAME_SIDEWAYS"}),
    },
)
windows(
    "ERROR_UNSUPPORTED",
    {
        "pads_negative": ("pads", {"pads": [-1, 1, 1, 1]}),
        "pads_huge": ("pads", {"pads": [2**30] * 4}),
        "pads_of_int64_max": ("pads", {"pads": [2**63 - 1] * 4}),
    },
)
line(17)
windows(
    "ERROR_FORMAT",
    {
        "group_0": ("group", {"group": 0}),
        "group_negative": ("group", {"group": -1}),
        "group_no_divisor": ("group", {"group": 3}),
        "group_not_the_weights": ("group", {"group": 2}),
        "group_of_2_to_33": ("group", {"group": 2**33}),
    },
)
line(None)
windows(
    "ERROR_FORMAT",
    {
        "attribute_of_the_wrong_type": ("strides", {"strides": 1.5}),
        "attribute_of_text": ("pads", {"pads": "1111"}),
    },
)
windows(
    "ERROR_UNSUPPORTED",
    {
        "attribute_unknown": ("mystery", {"mystery": 1}),
    },
)
line(15)


@case("ERROR_FORMAT", CULPRIT)
def kernel_of_65536_squared() -> Content:
    model = conv_with(kernel_shape=[65536, 65536], pads=[65535] * 4)
    target = tensor(model, CULPRIT)
    target.dims[:] = [2, 2, 65536, 65536]
    return model


line(None)


@case("ERROR_FORMAT", CONV)
def attribute_twice() -> Content:
    model = good()
    node(model, CONV).attribute.append(helper.make_attribute("strides", [2, 2]))
    return model


@case("ERROR_UNSUPPORTED", CONV)
def conv_in_one_dimension() -> Content:
    model = conv_with(kernel_shape=[3], pads=[1, 1], strides=[1], dilations=[1])
    set_tensor(model, CULPRIT, np.ones((2, 2, 3), np.float32))
    return model


@case("ERROR_FORMAT", CONV)
def bias_of_wrong_length() -> Content:
    model = good()
    set_tensor(model, "layer1.0.conv1.bias", np.ones(3, np.float32))
    return model


def pool(kind: str, **attributes: object) -> onnx.ModelProto:
    window = one(kind, ["input"], ["y"], **attributes)
    average = helper.make_node("GlobalAveragePool", ["y"], ["g"], name="g")
    return small([window, average, helper.make_node("Flatten", ["g"], ["logits"], name="flat")])


line(15)
table(
    "ERROR_FORMAT",
    {
        "max_pool_without_kernel": ("culprit", {}),
        "max_pool_kernel_0": ("kernel_shape", {"kernel_shape": [0, 2]}),
        "max_pool_larger_than_the_input": ("kernel", {"kernel_shape": [9, 9]}),
        "max_pool_stride_0": ("strides", {"kernel_shape": [2, 2], "strides": [0, 0]}),
    },
    lambda attributes: pool("MaxPool", **attributes),
)
table(
    "ERROR_UNSUPPORTED",
    {
        "max_pool_kernel_of_65536_squared": (
            "kernel_shape",
            {"kernel_shape": [65536, 65536], "pads": [65535] * 4},
        ),
        "max_pool_kernel_huge": (
            "kernel_shape",
            {"kernel_shape": [2**31, 2**31], "pads": [2**30] * 4},
        ),
        "max_pool_pads_beyond_the_kernel": ("pads", {"kernel_shape": [2, 2], "pads": [2] * 4}),
        "max_pool_pads_negative": ("pads", {"kernel_shape": [2, 2], "pads": [-1] * 4}),
    },
    lambda attributes: pool("MaxPool", **attributes),
)
table(
    "ERROR_FORMAT",
    {
        "average_pool_kernel_negative": ("kernel_shape", {"kernel_shape": [-2, 2]}),
        "average_pool_larger_than_the_input": ("kernel", {"kernel_shape": [9, 8]}),
    },
    lambda attributes: pool("AveragePool", **attributes),
)


@case("ERROR_UNSUPPORTED", "covers only padding")
def pool_whose_taps_miss_the_input() -> Content:
    return pool("MaxPool", kernel_shape=[2, 2], dilations=[9, 9], pads=[9] * 4)


# ---- slopes and sums

line(None)


def prelu(slopes: np.ndarray) -> onnx.ModelProto:
    flatten = helper.make_node("Flatten", ["y"], ["logits"], name="flat")
    return ending(
        [one("PRelu", ["features", "slopes"], ["y"]), flatten],
        {"slopes": np.asarray(slopes, np.float32)},
    )


table(
    "ERROR_FORMAT",
    {
        "prelu_without_slopes": ("culprit", np.zeros((0, 1, 1))),
        "prelu_with_a_slope_too_many": ("culprit", np.ones((4, 1, 1))),
        "prelu_with_infinite_slopes": ("slopes", np.array([1, np.inf, 2]).reshape(3, 1, 1)),
        "prelu_with_a_slope_of_nan": ("slopes", np.array(np.nan)),
    },
    prelu,
)


@case("ERROR_UNSUPPORTED", "culprit")
def sum_of_a_hundred_thousand() -> Content:
    return ending([one("Sum", ["features"] * 100_000)])


@case("ERROR_LIMIT", "")
def sums_that_make_two_hundred_thousand_layers() -> Content:
    """200 sums of 1,000 times one tensor, from a file of 2 MB."""
    names = ["features", *(f"s{i}" for i in range(200))]
    sums = [helper.make_node("Sum", [a] * 1000, [b], name=b) for a, b in zip(names, names[1:])]
    return ending([*sums, helper.make_node("Flatten", [names[-1]], ["logits"], name="flat")])


# ---- many of one thing

line(None)


@case("OK", "")
def ten_thousand_nodes() -> Content:
    names = ["features", *(f"t{i}" for i in range(10_000)), "flat"]
    chain = [helper.make_node("Relu", [a], [b], name=b) for a, b in zip(names, names[1:])]
    return ending([*chain, helper.make_node("Flatten", ["flat"], ["logits"], name="flatten")])


@case("ERROR_LIMIT", "node")
def two_hundred_thousand_nodes_backwards() -> Content:
    """The worst order for a naive sort."""
    names = ["features", *(f"t{i}" for i in range(200_000)), "flat"]
    chain = [helper.make_node("Identity", [a], [b]) for a, b in zip(names, names[1:])]
    flatten = helper.make_node("Flatten", ["flat"], ["logits"], name="flatten")
    return ending([flatten, *reversed(chain)])


@case("ERROR_FORMAT", "culprit")
def a_hundred_thousand_inputs() -> Content:
    return ending([one("Relu", ["features"] * 100_000)])


@case("OK", "")
def names_of_control_characters() -> Content:
    model = good()
    for n in model.graph.node:
        n.name = f"\x1b[31m\r\n{n.name}\x07"
    model.graph.name = "\x1b]0;title\x07"
    return model


@case("ERROR_UNSUPPORTED", "Foo")
def message_of_control_characters() -> Content:
    model = good()
    target = node(model, "layer1.0.relu1")
    target.name, target.op_type = "\x1b[31m\r\n%n%s", "Foo\x1b"
    return model


@case("ERROR_UNSUPPORTED", "")
def name_of_a_million_bytes() -> Content:
    model = good()
    target = node(model, "layer1.0.relu1")
    target.name, target.op_type = "n" * 1_000_000, "Foo"
    return model
