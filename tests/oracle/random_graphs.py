"""Random residual graphs, in the spellings of many exporters, for the differential
fuzzer.

A graph's number makes the same graph again: every choice depends on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402

OPSETS = (7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26)
CHANNELS = (1, 2, 3, 4, 8, 12, 16, 17, 24, 32, 40)
TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
EPSILON = 1e-5


@dataclass(frozen=True)
class RandomGraph:
    """A model and its test. `images` are (n,c,h,w); `nhwc`: the input takes them as
    (n,h,w,c); `output` is the requested output, if there are several; `batch` is the
    session's."""

    model: onnx.ModelProto
    images: np.ndarray
    nhwc: bool
    output: str | None
    batch: int


@dataclass
class Sketch:
    """A random graph under construction; `h` and `w` are the size of the last tensor."""

    net: nets.Net
    choose: np.random.Generator
    h: int
    w: int
    count: int = 0

    def pick(self, values: tuple) -> object:
        return values[int(self.choose.integers(len(values)))]

    def chance(self, probability: float) -> bool:
        return bool(self.choose.random() < probability)

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what}{self.count}"

    def shrink(self, kernel: int, stride: int, pads: list[int]) -> None:
        """Return the size after a window; `kernel` is the dilated one."""
        self.h = (self.h + pads[0] + pads[2] - kernel) // stride + 1
        self.w = (self.w + pads[1] + pads[3] - kernel) // stride + 1

    def window_fits(self, kernel: int, pads: list[int]) -> bool:
        return self.h + pads[0] + pads[2] >= kernel and self.w + pads[1] + pads[3] >= kernel

    def constant(self, what: str, value: np.ndarray) -> str:
        return self.net.constant(self.name(what), value)

    def random_pads(self, kernel: int) -> list[int]:
        """Return mostly the symmetric half, sometimes each side for itself."""
        if self.chance(0.7):
            return [kernel // 2] * 4
        return [int(self.choose.integers(0, kernel)) for _ in range(4)]


def activate(s: Sketch, x: str) -> str:
    kind = s.pick(("relu", "relu", "relu", "clip", "leaky", "prelu", "none"))
    if kind == "relu":
        return s.net.relu(x, s.name("relu"))
    if kind == "clip":
        return s.net.clip(x, s.name("clip"), 0.0, float(s.pick((1.0, 6.0))))
    if kind == "leaky":
        y = s.net.node("LeakyRelu", s.name("leaky"), [x], alpha=float(s.pick((0.01, 0.25))))
        s.net.channels[y] = s.net.channels[x]
        return y
    if kind == "prelu":
        channels = 1 if s.chance(0.2) else s.net.channels[x]
        slopes = s.choose.uniform(-0.5, 1.5, (channels, 1, 1)).astype(np.float32)
        y = s.net.node("PRelu", s.name("prelu"), [x, s.constant("slopes", slopes)])
        s.net.channels[y] = s.net.channels[x]
        return y
    return x


def random_conv(s: Sketch, x: str) -> str:
    """Append any convolution that fits: kernel 1 to 7, stride, dilation, groups
    (depthwise too), pads on each side."""
    channels = s.net.channels[x]
    kernel, dilation = int(s.pick((1, 1, 3, 3, 3, 5, 7, 2))), int(s.pick((1, 1, 1, 2)))
    dilated = dilation * (kernel - 1) + 1
    pads = s.random_pads(dilated)
    if not s.window_fits(dilated, pads):
        kernel = dilation = dilated = 1
        pads = [0] * 4
    groups = (
        int(s.pick(tuple(g for g in range(1, channels + 1) if channels % g == 0)))
        if s.chance(0.3)
        else 1
    )
    out = groups * int(s.pick((1, 2, 3))) if groups > 1 else int(s.pick(CHANNELS))
    stride = int(s.pick((1, 1, 2, 3)))
    y = s.net.conv(
        x,
        s.name("conv"),
        out,
        kernel,
        stride,
        pad=pads,
        groups=groups,
        dilation=dilation,
        norm=s.chance(0.7),
    )
    s.shrink(dilated, stride, pads)
    return activate(s, y)


def random_pool(s: Sketch, x: str) -> str:
    kernel, stride = int(s.pick((2, 3))), int(s.pick((1, 2)))
    pads = [int(s.choose.integers(0, kernel)) for _ in range(4)] if s.chance(0.5) else [0] * 4
    if not s.window_fits(kernel, pads):
        return x
    s.shrink(kernel, stride, pads)
    if s.chance(0.5):
        return s.net.max_pool(x, s.name("maxpool"), kernel, stride, pads)
    return s.net.average_pool(
        x, s.name("averagepool"), kernel, stride, pads, count_include_pad=int(s.chance(0.5))
    )


def same_padded_conv(s: Sketch, x: str) -> str:
    """Append a convolution with TensorFlow's padding: asymmetric where kernel and stride
    require it."""
    kernel, stride, name = int(s.pick((1, 3, 3, 5))), int(s.pick((1, 2, 3))), s.name("conv")
    y = s.net.conv(x, name, int(s.pick(CHANNELS)), kernel, stride, norm=s.chance(0.5))
    node = next(node for node in s.net.nodes if node.name == name)
    kept = [attribute for attribute in node.attribute if attribute.name != "pads"]
    del node.attribute[:]
    node.attribute.extend(
        [*kept, helper.make_attribute("auto_pad", s.pick(("SAME_UPPER", "SAME_LOWER")))]
    )
    s.h, s.w = -(-s.h // stride), -(-s.w // stride)
    return activate(s, y)


# ---- borders


def pad(s: Sketch, x: str, pads: list[int], mode: str, value: float) -> str:
    """Append a node that puts `pads` (top, left, bottom, right) around images."""
    name, sizes = s.name("pad"), [0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]]
    s.h, s.w = s.h + pads[0] + pads[2], s.w + pads[1] + pads[3]
    if s.net.opset < 11:
        return s.net.node("Pad", name, [x], mode=mode, pads=sizes, value=value)
    inputs = [x, s.constant("pads", np.array(sizes, np.int64))]
    if mode == "constant" and (value != 0 or s.chance(0.3)):
        inputs.append(s.constant("border", np.float32(value)))
    return s.net.node("Pad", name, inputs, mode=mode)


def padded(s: Sketch, x: str) -> str:
    """Append padding before a convolution or a pool with less padding, or none."""
    mode = str(s.pick(("constant", "constant", "constant", "reflect", "edge")))
    most = min(3, s.h - 1, s.w - 1) if mode == "reflect" else 3
    if most < 1:
        return x
    pads = [int(s.choose.integers(0, most + 1)) for _ in range(4)]
    y = pad(s, x, pads, mode, float(s.pick((0, 0, 0, -1.5, 0.5))))
    kernel, stride = int(s.pick((2, 3))), int(s.pick((1, 2)))
    if not s.window_fits(kernel, [0] * 4):
        return y
    s.shrink(kernel, stride, [0] * 4)
    kind = s.pick(("conv", "conv", "max", "average"))
    if kind == "conv":
        return activate(
            s, s.net.conv(y, s.name("conv"), int(s.pick(CHANNELS)), kernel, stride, pad=0)
        )
    if kind == "max":
        return s.net.max_pool(y, s.name("maxpool"), kernel, stride, 0)
    return s.net.average_pool(y, s.name("averagepool"), kernel, stride, 0)


# ---- gates


def mean(s: Sketch, x: str) -> str:
    """Append the mean over all pixels, (n,c,1,1)."""
    if s.chance(0.5):
        return s.net.global_pool(x, s.name("pool"))
    if s.net.opset < 18:
        return s.net.node("ReduceMean", s.name("mean"), [x], axes=[2, 3], keepdims=1)
    return s.net.node(
        "ReduceMean",
        s.name("mean"),
        [x, s.constant("axes", np.array([2, 3], np.int64))],
        keepdims=1,
    )


def gate_function(s: Sketch, x: str) -> str:
    kind = s.pick(("sigmoid", "sigmoid", "hard", "hard_keras"))
    if kind == "sigmoid":
        return s.net.node("Sigmoid", s.name("sigmoid"), [x])
    if kind == "hard":
        return s.net.node("HardSigmoid", s.name("hardsigmoid"), [x], alpha=1 / 6, beta=0.5)
    return s.net.node("HardSigmoid", s.name("hardsigmoid"), [x])


def reshape(s: Sketch, x: str, shape: list[int]) -> str:
    return s.net.node(
        "Reshape", s.name("reshape"), [x, s.constant("shape", np.array(shape, np.int64))]
    )


def times_gate(s: Sketch, x: str, gate: str) -> str:
    sides = [x, gate] if s.chance(0.7) else [gate, x]
    y = s.net.node("Mul", s.name("scale"), sides)
    s.net.channels[y] = s.net.channels[x]
    return y


def squeeze_excitation(s: Sketch, x: str) -> str:
    """Append a gate of 1x1 convolutions, or of fully connected layers as Keras has it."""
    channels = s.net.channels[x]
    few = max(1, channels // int(s.pick((2, 4))))
    y = mean(s, x)
    if s.chance(0.6):
        y = s.net.relu(s.net.conv(y, s.name("reduce"), few, 1, norm=False), s.name("relu"))
        y = s.net.conv(y, s.name("expand"), channels, 1, norm=False)
        return times_gate(s, x, gate_function(s, y))
    y = (
        reshape(s, y, [0, -1])
        if s.chance(0.5)
        else s.net.node("Flatten", s.name("flatten"), [y], axis=1)
    )
    y = s.net.linear(y, s.name("reduce"), few)
    s.net.channels[y] = few
    y = s.net.linear(
        s.net.relu(y, s.name("relu")), s.name("expand"), channels, transposed=s.chance(0.5)
    )
    s.net.channels[y] = channels
    y = gate_function(s, y)
    y = (
        reshape(s, y, [0, channels, 1, 1])
        if s.chance(0.5)
        else s.net.unsqueeze(y, s.name("unsqueeze"), [2, 3])
    )
    return times_gate(s, x, y)


def channel_attention(s: Sketch, x: str) -> str:
    """Append ECA: a convolution along the channels' means."""
    kernel, name = int(s.pick((1, 3, 5))), s.name("eca")
    y = reshape(s, mean(s, x), [0, 1, -1])
    weights = s.net.normal(f"{name}.weight", (1, 1, kernel), 0.5)
    bias = [s.net.normal(f"{name}.bias", (1,), 0.1)] if s.chance(0.3) else []
    y = s.net.node("Conv", name, [y, weights, *bias], kernel_shape=[kernel], pads=[kernel // 2] * 2)
    y = reshape(s, s.net.node("Sigmoid", s.name("sigmoid"), [y]), [0, -1, 1, 1])
    return times_gate(s, x, y)


# ---- batch normalisation, spelled out


def spelled_norm(s: Sketch, x: str) -> str:
    """Append normalisation as arithmetic with constants, which may have to be computed
    first."""
    values = s.net.draw_norm(s.net.channels[x], 1.0)
    shape = (-1, 1, 1) if s.chance(0.5) else (1, -1, 1, 1)
    shaped = {key: value.reshape(shape) for key, value in values.items()}
    deviation = np.sqrt(shaped["var"] + np.float32(EPSILON))
    kind = s.pick(("factor", "steps", "computed"))
    if kind == "factor":
        factor = shaped["gamma"] / deviation
        y = s.net.node("Mul", s.name("mul"), [x, s.constant("factor", factor)])
        shift = s.constant("shift", shaped["beta"] - shaped["mean"] * factor)
        return activate(s, s.net.node("Add", s.name("add"), [y, shift]))
    y = s.net.node("Sub", s.name("sub"), [x, s.constant("mean", shaped["mean"])])
    if kind == "steps":
        y = s.net.node("Div", s.name("div"), [y, s.constant("deviation", deviation)])
    else:
        parts = [s.constant("var", shaped["var"]), s.constant("eps", np.float32(EPSILON))]
        wide = s.net.node("Add", s.name("add"), parts)
        root = s.net.node("Sqrt", s.name("sqrt"), [wide])
        if s.chance(0.5):
            y = s.net.node(
                "Mul", s.name("mul"), [y, s.net.node("Reciprocal", s.name("reciprocal"), [root])]
            )
        else:
            y = s.net.node("Div", s.name("div"), [y, root])
    y = s.net.node("Mul", s.name("mul"), [y, s.constant("gamma", shaped["gamma"])])
    return activate(s, s.net.node("Add", s.name("add"), [y, s.constant("beta", shaped["beta"])]))


# ---- blocks


def pooled_shortcut(s: Sketch, x: str, out: int, stride: int, h: int, w: int) -> str:
    """Append ResNet-D's shortcut: an average, then a 1x1 convolution where the channels
    change."""
    odd = h % stride or w % stride
    ceil = {"ceil_mode": 1} if odd or (s.net.opset >= 10 and s.chance(0.5)) else {}
    y = s.net.average_pool(x, s.name("averagepool"), stride, stride, 0, count_include_pad=0, **ceil)
    return (
        y
        if s.net.channels[x] == out and s.chance(0.5)
        else s.net.conv(y, s.name("projection"), out, 1)
    )


def random_shortcut(s: Sketch, x: str, out: int, stride: int, h: int, w: int) -> str:
    if stride == 1 and s.net.channels[x] == out:
        return x
    if s.net.opset >= 10 and out >= s.net.channels[x] and s.chance(0.4):
        return s.net.subsample(x, s.name("shortcut"), out, stride)
    divides = h % stride == 0 and w % stride == 0
    if stride > 1 and (divides or s.net.opset >= 10) and s.chance(0.4):
        return pooled_shortcut(s, x, out, stride, h, w)
    y = s.net.conv(x, s.name("projection"), out, 1, stride, norm=s.chance(0.7))
    return s.net.relu(y, s.name("relu")) if s.chance(0.1) else y


def branch(s: Sketch, x: str, out: int, stride: int, depth: int) -> str:
    """Append one to three convolutions, the last of which may be gated."""
    strided = int(s.choose.integers(depth))
    y = x
    for index in range(depth):
        last = index == depth - 1
        y = s.net.conv(
            y,
            s.name("conv"),
            out if last else int(s.pick(CHANNELS)),
            int(s.pick((1, 3))),
            stride if index == strided else 1,
            norm=s.chance(0.8),
            scale=nets.RESIDUAL_SCALE if last else 1.0,
        )
        y = y if last else activate(s, y)
    kind = s.pick(("plain", "plain", "plain", "squeeze", "eca"))
    if kind == "plain":
        return y
    return squeeze_excitation(s, y) if kind == "squeeze" else channel_attention(s, y)


def random_block(s: Sketch, x: str) -> str:
    """Append a residual block whose branch's strides multiply to the shortcut's."""
    stride, depth, h, w = int(s.pick((1, 1, 2))), int(s.pick((1, 2, 2, 3))), s.h, s.w
    out = s.net.channels[x] if s.chance(0.6) else int(s.pick(CHANNELS))
    y = branch(s, x, out, stride, depth)
    s.h, s.w = -(-h // stride), -(-w // stride)
    sides = [y, random_shortcut(s, x, out, stride, h, w)]
    if s.chance(0.3):
        sides.reverse()
    return activate(s, s.net.node(str(s.pick(("Add", "Add", "Sum"))), s.name("add"), sides))


def preactivated_block(s: Sketch, x: str) -> str:
    """Append a block with normalisation and ReLU in front; the shortcut begins before or
    after them."""
    stride, depth, h, w = int(s.pick((1, 1, 2))), int(s.pick((1, 2, 3))), s.h, s.w
    out = s.net.channels[x] if s.chance(0.6) else int(s.pick(CHANNELS))
    front = s.net.relu(s.net.norm(x, s.name("bn"), **old_norm(s)), s.name("relu"))
    y = branch(s, front, out, stride, depth)
    s.h, s.w = -(-h // stride), -(-w // stride)
    changes = stride > 1 or s.net.channels[x] != out
    return s.net.add(
        y, random_shortcut(s, front if changes else x, out, stride, h, w), s.name("add")
    )


def nothing(s: Sketch, x: str) -> str:
    """Append nodes that do nothing at inference."""
    return (
        s.net.dropout(x, s.name("dropout"), 0.4)
        if s.chance(0.5)
        else s.net.node("Identity", s.name("same"), [x])
    )


def old_norm(s: Sketch) -> dict[str, int]:
    return {"spatial": 1} if s.net.opset < 9 else {}


def alone(s: Sketch, x: str) -> str:
    """Append batch normalisation or an activation without a convolution in front."""
    return activate(s, s.net.norm(x, s.name("bn"), **old_norm(s)))


STEPS: tuple[Callable[[Sketch, str], str], ...] = (
    random_block,
    random_block,
    random_block,
    preactivated_block,
    random_conv,
    same_padded_conv,
    random_pool,
    padded,
    squeeze_excitation,
    channel_attention,
    spelled_norm,
    nothing,
    alone,
)


def finish(s: Sketch, x: str, classes: int) -> str:
    """Append a classifier: over averaged features, or over all of them when they are
    few."""
    heads = ("flatten", "reshape", "shape", "squeeze", "matmul", "conv")
    if s.h * s.w * s.net.channels[x] <= 2048 and s.chance(0.3):
        flat = s.net.node("Flatten", "flatten", [x], axis=1)
        s.net.channels[flat] = s.h * s.w * s.net.channels[x]
        y = s.net.linear(flat, "fc", classes)
    else:
        head = str(s.pick(heads))
        if head == "conv":
            y = s.net.conv(mean(s, x), "fc", classes, 1, norm=False)
            y = s.net.node("Flatten", "flatten", [y], axis=1)
        else:
            y = s.net.head(x, 0, classes, head)
    last = s.pick(("logits", "logits", "softmax", "log_softmax"))
    if last == "logits" or classes == 1:
        return y
    return s.net.node("Softmax" if last == "softmax" else "LogSoftmax", "last", [y], axis=1)


# ---- layouts

ELEMENTWISE = {
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Clip",
    "Add",
    "Sum",
    "Mul",
    "Sub",
    "Div",
    "Sigmoid",
    "HardSigmoid",
    "Identity",
}


def transposed(value: np.ndarray) -> np.ndarray:
    """Return a constant that meets channels, for (n,h,w,c)."""
    return (
        value
        if value.size == 1
        else value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(TO_NHWC)
    )


def elementwise_in_nhwc(model: onnx.ModelProto, choose: np.random.Generator) -> None:
    """Move some elementwise nodes to (n,h,w,c), between Transposes, as tf2onnx writes
    them."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = {
        value.name: value.type.tensor_type
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    ranks = {name: len(kind.shape.dim) for name, kind in known.items() if kind.HasField("shape")}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        activations = [name for name in node.input if name and name not in constants]
        if (
            node.op_type not in ELEMENTWISE
            or not activations
            or any(ranks.get(name) != 4 for name in activations)
            or choose.random() < 0.5
        ):
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            if name in activations:
                other = f"{node.name}.{index}.nhwc"
                nodes.append(
                    helper.make_node(
                        "Transpose", [name], [other], name=f"{other}.transpose", perm=TO_NHWC
                    )
                )
                node.input[index] = other
            elif name:
                other = f"{name}.nhwc"
                if other not in constants:
                    value = transposed(numpy_helper.to_array(constants[name]))
                    constants[other] = numpy_helper.from_array(value, other)
                    model.graph.initializer.append(constants[other])
                node.input[index] = other
        output = node.output[0]
        node.output[0] = f"{output}.nhwc"
        nodes += [
            node,
            helper.make_node(
                "Transpose", [node.output[0]], [output], name=f"{node.name}.back", perm=TO_NCHW
            ),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def input_in_nhwc(model: onnx.ModelProto) -> None:
    shape = model.graph.input[0].type.tensor_type.shape
    dims = [onnx.TensorShapeProto.Dimension() for _ in shape.dim]
    for dim, source in zip(dims, TO_NHWC):
        dim.CopyFrom(shape.dim[source])
    del shape.dim[:]
    shape.dim.extend(dims)
    for node in model.graph.node:
        node.input[:] = ["input.nchw" if name == "input" else name for name in node.input]
    model.graph.node.insert(
        0, helper.make_node("Transpose", ["input"], ["input.nchw"], name="to_nchw", perm=TO_NCHW)
    )


# ---- the whole


def with_constants_as_inputs(model: onnx.ModelProto) -> None:
    """List initialisers as inputs, as IR 3 does, including those that were added
    later."""
    listed = {value.name for value in model.graph.input}
    if model.ir_version == 3:
        model.graph.input.extend(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            for tensor in model.graph.initializer
            if tensor.name not in listed
        )


def second_output(s: Sketch, x: str) -> str:
    """Add a second output beside the scores: averaged features."""
    return s.net.node("Flatten", "features", [s.net.global_pool(x, "features_pool")], axis=1)


def random_graph(number: int) -> RandomGraph:
    choose = np.random.default_rng([number, 7])
    opset = OPSETS[int(choose.integers(len(OPSETS)))]
    channels = int(choose.choice([1, 3, 3, 3, 4, 17]))
    net = nets.Net(
        number, opset, keep_norm=bool(choose.random() < 0.7), channels={"input": channels}
    )
    h, w = int(choose.integers(1, 41)), int(choose.integers(1, 41))
    s = Sketch(net, choose, h, w)
    x = random_conv(s, "input") if s.chance(0.8) else "input"
    for _ in range(int(choose.integers(1, 6))):
        x = STEPS[int(choose.integers(len(STEPS)))](s, x)
    classes = int(s.pick((1, 2, 10, 33)))
    features = second_output(s, x) if s.chance(0.1) else None
    model = net.model(finish(s, x, classes), (None, channels, h, w), classes)
    output = None
    if features:
        shape = ["N", net.channels[x]]
        model.graph.output.append(
            helper.make_tensor_value_info(features, onnx.TensorProto.FLOAT, shape)
        )
        output = str(s.pick(("logits", features)))
    if s.chance(0.2):
        elementwise_in_nhwc(model, choose)
    nhwc = s.chance(0.15)
    if nhwc:
        input_in_nhwc(model)
    with_constants_as_inputs(model)
    batch = int(choose.integers(1, 5))
    pixels = np.random.default_rng(number).standard_normal(
        (batch, channels, h, w), dtype=np.float32
    )
    return RandomGraph(model, pixels, nhwc, output, int(choose.integers(1, batch + 1)))
