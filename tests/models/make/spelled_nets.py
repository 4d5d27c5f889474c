"""Write one small network in spellings whose exporters are no longer on PyPI, and in
those that converters make.

    python spelled_nets.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from common import add
from helper_common import CHANNELS, EXPORTER, LAYERS, SMALL, Net, value
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16
from onnxruntime.transformers.float16 import convert_float_to_float16

# ---- normalisation


class SpelledNorm(Net):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, on the activations."""

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        values = values or self.draw_norm(self.channels[x], 1.0)
        shape = self.constant(f"{name}.shape", value([1, -1, 1, 1], np.int64))
        flat = {key: self.constant(f"{name}.{key}", array) for key, array in values.items()}
        wide = {
            key: self.node("Reshape", f"{name}.{key}.reshape", [tensor, shape])
            for key, tensor in flat.items()
        }
        safe = self.node(
            "Add", f"{name}.safe", [wide["var"], self.constant(f"{name}.epsilon", value(1e-5))]
        )
        y = self.node("Sub", f"{name}.centre", [x, wide["mean"]])
        y = self.node("Div", f"{name}.scale", [y, self.node("Sqrt", f"{name}.sqrt", [safe])])
        y = self.node("Mul", f"{name}.gamma.mul", [wide["gamma"], y])
        return self.node("Add", f"{name}.beta.add", [y, wide["beta"]])


class Detectron(Net):
    """scale = gamma * rsqrt(variance + epsilon), x * scale + (beta - mean * scale):
    Detectron's normalisation, nothing folded."""

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        values = values or self.draw_norm(self.channels[x], 1.0)
        flat = {key: self.constant(f"{name}.{key}", array) for key, array in values.items()}
        safe = self.node(
            "Add", f"{name}.safe", [flat["var"], self.constant(f"{name}.epsilon", value(1e-5))]
        )
        scale = self.node("Mul", f"{name}.scale", [flat["gamma"], self.reciprocal_root(safe, name)])
        shift = self.node(
            "Sub",
            f"{name}.shift",
            [flat["beta"], self.node("Mul", f"{name}.moved", [flat["mean"], scale])],
        )
        shape = self.constant(f"{name}.shape", value([1, -1, 1, 1], np.int64))
        scale, shift = (
            self.node("Reshape", f"{name}.{key}.reshape", [tensor, shape])
            for key, tensor in (("scale", scale), ("shift", shift))
        )
        return self.node("Add", f"{name}.add", [self.node("Mul", f"{name}.mul", [x, scale]), shift])

    def reciprocal_root(self, x: str, name: str) -> str:
        return self.node(
            "Reciprocal", f"{name}.reciprocal", [self.node("Sqrt", f"{name}.sqrt", [x])]
        )


class MultiplyAdd(Net):
    """Normalisation as one Mul and one Add by channel."""

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        values = values or self.draw_norm(self.channels[x], 1.0)
        factor = values["gamma"] / np.sqrt(values["var"] + np.float32(1e-5))
        shift = values["beta"] - values["mean"] * factor
        factor, shift = (
            self.constant(f"{name}.{key}", array.reshape(-1, 1, 1))
            for key, array in (("factor", factor), ("shift", shift))
        )
        return self.node(
            "Add", f"{name}.add", [shift, self.node("Mul", f"{name}.mul", [x, factor])]
        )


class Outputs(Net):
    """Normalisation with the attributes that opset 14 added, at their defaults."""

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        return super().norm(x, name, values, training_mode=0, momentum=0.9)


# ---- other parts


class ShortcutFirst(Net):
    """Shortcut plus branch, and ReLU6 as Min."""

    def add(self, a: str, b: str, name: str) -> str:
        return self.node("Add", name, [b, a])

    def relu(self, x: str, name: str) -> str:
        limit = self.constant(f"{name}.limit", value(6.0))
        return self.node("Min", f"{name}.min", [self.node("Relu", name, [x]), limit])


class PooledShortcut(Net):
    """Where shapes change: an average, then zeros for the missing channels."""

    def shortcut(self, x: str, name: str, out: int, stride: int) -> str:
        y = self.node(
            "AveragePool", f"{name}.pool", [x], kernel_shape=[2, 2], strides=[stride, stride]
        )
        missing = out - self.channels[x]
        y = self.pad(y, f"{name}.pad", [0, missing // 2, 0, 0], [0, missing - missing // 2, 0, 0])
        self.channels[y] = out
        return y


class SharedBias(Net):
    """Convolutions that share one bias through Identity, as PyTorch's exporter writes
    equal tensors. This is correct."""

    def conv(
        self, x: str, name: str, out: int, kernel: int, stride: int = 1, **options: object
    ) -> str:
        y = super().conv(x, name, out, kernel, stride, **options)
        node = next(node for node in self.nodes if node.name == name)
        if f"zeros.{out}" not in {tensor.name for tensor in self.initializers}:
            self.constant(f"zeros.{out}", value(0.1 * np.arange(out)))
        node.input.append(f"{name}.bias")
        self.nodes.insert(
            self.nodes.index(node),
            helper.make_node(
                "Identity", [f"zeros.{out}"], [f"{name}.bias"], name=f"{name}.identity"
            ),
        )
        return y


class ExpandedGate(Net):
    """Squeeze-and-excitation whose gate goes through Expand before it multiplies; `hard`:
    HardSigmoid."""

    hard = False

    def branch(self, x: str, name: str, channels: int, stride: int, bottleneck: bool) -> str:
        y = super().branch(x, name, channels, stride, bottleneck)
        gate = self.global_pool_named(y, f"{name}.squeeze")
        gate = self.relu(
            self.conv(gate, f"{name}.reduce", channels // 2, 1, norm=False), f"{name}.reduce.relu"
        )
        gate = self.conv(gate, f"{name}.expand", channels, 1, norm=False)
        if self.hard:
            gate = self.node("HardSigmoid", f"{name}.gate", [gate], alpha=1 / 6, beta=0.5)
            return self.node("Mul", f"{name}.excite", [y, gate])
        gate = self.node("Sigmoid", f"{name}.gate", [gate])
        gate = self.node(
            "Expand", f"{name}.stretch", [gate, self.node("Shape", f"{name}.shape", [y])]
        )
        return self.node("Mul", f"{name}.excite", [gate, y], like=y)

    def global_pool_named(self, x: str, name: str) -> str:
        return self.node("GlobalAveragePool", name, [x])


class HardGate(ExpandedGate):
    hard = True


class Interleaved(Net):
    """keras2onnx: images (n,h,w,c), and a Transpose on each side of the operators that
    ONNX only has for (n,c,h,w)."""

    def planar(self, x: str, name: str, make: Callable[[str], str]) -> str:
        y = make(self.node("Transpose", f"{name}.to", [x], perm=[0, 3, 1, 2]))
        return self.node("Transpose", f"{name}.from", [y], perm=[0, 2, 3, 1])

    def conv(
        self,
        x: str,
        name: str,
        out: int,
        kernel: int,
        stride: int = 1,
        *,
        scale: float = 1.0,
        **options: object,
    ) -> str:
        # ZeroPadding2D in front of a convolution without padding
        if stride > 1 and kernel > 1:
            side = kernel // 2
            x = self.pad(x, f"{name}.pad", [0, side, side, 0], [0, side, side, 0])
            options["pad"] = 0
        norms = self.draw_norm(out, scale)
        y = self.planar(
            x,
            name,
            lambda given: Net.conv(self, given, name, out, kernel, stride, norm=False, **options),
        )
        self.channels[y] = out
        return self.planar(
            y, f"{name}.bn", lambda given: Net.norm(self, given, f"{name}.bn", norms)
        )

    def max_pool(
        self, x: str, name: str, kernel: int, stride: int, pad: int, **attributes: object
    ) -> str:
        x = self.pad(x, f"{name}.pad", [0, pad, pad, 0], [0, pad, pad, 0])
        return self.planar(
            x, name, lambda given: Net.max_pool(self, given, name, kernel, stride, 0, **attributes)
        )

    def classifier(self, x: str, classes: int) -> str:
        y = self.planar(
            x, "average", lambda given: self.node("GlobalAveragePool", "average", [given])
        )
        y = self.node(
            "Reshape",
            "flatten",
            [y, self.constant("flatten.shape", value([-1, self.channels[x]], np.int64))],
        )
        y = self.linear_as_matmul(y, "fc", classes)
        return self.node("Softmax", "softmax", [y])


class FixedReshape(Net):
    """A head whose Reshape names a batch of one."""

    def classifier(self, x: str, classes: int) -> str:
        y = self.node(
            "Reshape",
            "flatten",
            [
                self.global_pool(x),
                self.constant("flatten.shape", value([1, self.channels[x]], np.int64)),
            ],
            like=x,
        )
        return self.linear(y, "fc", classes)


class LogSoftmax(Net):
    def classifier(self, x: str, classes: int) -> str:
        axes = {"axes": [2, 3], "keepdims": 0}
        y = self.node("ReduceMean", "average", [x], **axes)
        return self.node("LogSoftmax", "scores", [self.linear(y, "fc", classes)], axis=-1)


# ---- weights


def in_float_data(tensor: onnx.TensorProto) -> onnx.TensorProto:
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32:
        return tensor
    return helper.make_tensor(tensor.name, TensorProto.FLOAT, array.shape, array.ravel().tolist())


def in_int32_data(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Store float16 as 16 bits in an int32 each."""
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32:
        return tensor
    bits = array.astype(np.float16).view(np.uint16).ravel()
    return onnx.TensorProto(
        name=tensor.name, data_type=TensorProto.FLOAT16, dims=array.shape, int32_data=bits.tolist()
    )


class HalfWeights(Net):
    """Weights of float16, each with a Cast to float32 where it is used."""

    def conv(
        self, x: str, name: str, out: int, kernel: int, stride: int = 1, **options: object
    ) -> str:
        y = super().conv(x, name, out, kernel, stride, **options)
        node = next(node for node in self.nodes if node.name == name)
        at = next(
            i for i, tensor in enumerate(self.initializers) if tensor.name == f"{name}.weight"
        )
        half = in_int32_data(self.initializers[at])
        half.name = f"{name}.half"
        self.initializers[at] = half
        self.nodes.insert(
            self.nodes.index(node),
            helper.make_node(
                "Cast", [half.name], [f"{name}.weight"], to=TensorProto.FLOAT, name=f"{name}.cast"
            ),
        )
        return y


# ---- files

POOLED = {**SMALL, "blocks": [{"projection": "pool"}.get(kind, kind) for kind in SMALL["blocks"]]}
CASES: list[tuple] = [
    # name, class, opset, architecture, what else the index says
    ("norm_spelled", SpelledNorm, 11, "normalisation as Sub, Div, Mul, Add", {}),
    ("norm_detectron", Detectron, 12, "FrozenBatchNorm, nothing folded", {}),
    ("norm_multiply_add", MultiplyAdd, 9, "normalisation as Mul and Add", {}),
    ("norm_opset14", Outputs, 14, "normalisation with training_mode 0", {}),
    ("shortcut_first_relu6_min", ShortcutFirst, 13, "shortcut first, ReLU6 as Min", {}),
    (
        "pooled_shortcut",
        PooledShortcut,
        13,
        "average pool and zeros as shortcut",
        {"blocks": POOLED["blocks"]},
    ),
    ("shared_bias", SharedBias, 13, "biases shared through Identity", {}),
    ("gate_expand", ExpandedGate, 13, "SE, Expand", {}),
    ("gate_hardsigmoid", HardGate, 11, "SE, HardSigmoid", {}),
    ("logsoftmax", LogSoftmax, 13, "LogSoftmax", {}),
    ("opset27", Outputs, 27, "resnet18, 3 stages", {}),
    ("opset28", ShortcutFirst, 28, "resnet18, 3 stages", {}),
    ("half_weights_cast", HalfWeights, 13, "float16 weights, each with a Cast", {}),
]


def build(kind: type[Net], opset: int, seed: int) -> tuple[Net, str]:
    net = kind(seed, opset)
    return net, net.residual(LAYERS, CHANNELS)


def write_cases() -> None:
    for number, (name, kind, opset, architecture, entry) in enumerate(CASES):
        net, output = build(kind, opset, 1000 + number)
        add(
            f"spelled/{name}.onnx",
            net.file(output),
            source="spellings, by hand",
            architecture=architecture,
            exporter=f"{EXPORTER}, opset {opset}",
            **{**SMALL, **entry},
        )


def write_interleaved() -> None:
    net, output = build(Interleaved, 11, 1100)
    add(
        "spelled/keras2onnx.onnx",
        net.file(output, planar=False),
        source="keras2onnx, by hand",
        layout="NHWC",
        architecture="resnet18, 3 stages",
        exporter=f"{EXPORTER}, opset 11",
        note="Transposes around everything",
        **SMALL,
    )


def write_fixed_reshape() -> None:
    net, output = build(FixedReshape, 13, 1101)
    add(
        "spelled/reshape_1.onnx",
        net.file(output, batch=1),
        source="spellings, by hand",
        architecture="Reshape to [1,16]",
        exporter=f"{EXPORTER}, opset 13",
        batch=1,
        **SMALL,
    )


def write_typed_data() -> None:
    """Write weights in the typed fields of TensorProto."""
    for name, store, number in (
        ("float_data", in_float_data, 0),
        ("float16_int32_data", in_int32_data, 1),
    ):
        net, output = build(Net, 13, 1200 + number)
        model = net.file(output)
        tensors = [store(tensor) for tensor in model.graph.initializer]
        del model.graph.initializer[:]
        model.graph.initializer.extend(tensors)
        if number:
            for given in (*model.graph.input, *model.graph.output):
                given.type.tensor_type.elem_type = TensorProto.FLOAT16
        add(
            f"spelled/{name}.onnx",
            model,
            source="weights, by hand",
            architecture="resnet18, 3 stages",
            exporter=f"{EXPORTER}, opset 13",
            judge="widened" if number else "onnxruntime",
            note=f"weights in {name}",
            **SMALL,
        )


def write_converted() -> None:
    for name, keep, opset in (("converted_fp16", True, 13), ("converted_fp16_io", False, 11)):
        net, output = build(Net, opset, 1300 + opset)
        model = float16.convert_float_to_float16(net.file(output), keep_io_types=keep)
        add(
            f"spelled/{name}.onnx",
            model,
            source="onnxconverter-common, float16",
            architecture="resnet18, 3 stages",
            exporter=f"onnxconverter-common 1.16.0, opset {opset}",
            judge="widened",
            note="Casts at both ends" if keep else "images and scores in float16, too",
            **SMALL,
        )


def write_unsorted() -> None:
    """Write a file of onnxruntime's own converter, which puts the Casts of the image
    after the nodes that read them."""
    net, output = build(Net, 13, 1400)
    model = convert_float_to_float16(net.file(output), keep_io_types=True)
    assert model.graph.node[-1].op_type == "Cast" and model.graph.node[-2].op_type == "Cast"
    add(
        "spelled/unsorted_fp16.onnx",
        model,
        source="onnxruntime, transformers.float16",
        architecture="resnet18, 3 stages",
        exporter=f"onnxruntime {onnxruntime.__version__}, opset 13",
        judge="widened",
        note="the image's Cast behind its readers",
        **SMALL,
    )


def main() -> None:
    write_cases()
    write_interleaved()
    write_fixed_reshape()
    write_typed_data()
    write_converted()
    write_unsorted()


if __name__ == "__main__":
    main()
