"""Write Keras' and TensorFlow's residual networks, made narrow, through tf2onnx.

PYTHONHASHSEED=0 python keras_nets.py
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import contextlib
import logging
from collections.abc import Callable, Iterator

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
import tf2onnx.optimizer
from common import add, residual_stages
from keras import layers
from keras.src.applications import resnet

logging.disable(logging.WARNING)
SIZE = (64, 96)
# The files do not say how to prepare images for these models.
UNSAID = ["the preset unit"]
# Keras's own, which have names that show it, by version.
APPLICATIONS = {1: ["the preset keras-caffe"], 2: ["the preset keras-tf"]}
EXPORTER = f"keras {keras.__version__}, tensorflow {tf.__version__}, tf2onnx {tf2onnx.__version__}"


def randomise(net: keras.Model, seed: int, ends: str) -> None:
    """Draw random weights, and normalise by the statistics of random images; `ends` names
    the last layers of residual branches."""
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        values = []
        for weight in layer.weights:
            shape = tuple(weight.shape)
            kind = weight.path.split("/")[-1]
            if kind == "kernel":
                value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
                value *= 0.3 if ends == "conv" and layer.name.endswith("_3_conv") else 1
            elif kind == "gamma":
                value = rng.uniform(0.6, 1.2, shape) * (
                    0.3 if ends == "bn" and layer.name.endswith("_3_bn") else 1
                )
            elif kind in ("beta", "bias"):
                value = 0.2 * rng.standard_normal(shape)
            else:
                value = np.full(shape, 1.0 if "var" in kind else 0.0)
            values.append(value.astype(np.float32))
        layer.set_weights(values)
    norms = [layer for layer in net.layers if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    net(rng.standard_normal((32, *net.inputs[0].shape[1:])).astype(np.float32), training=True)
    for norm in norms:
        variance = norm.moving_variance.numpy() * rng.uniform(0.8, 1.25)
        norm.moving_variance.assign(np.maximum(variance, 0.3 * variance.mean()))


@contextlib.contextmanager
def optimiser(on: bool) -> Iterator[None]:
    """Run tf2onnx with or without its optimiser, which cancels most Transposes."""
    original = tf2onnx.optimizer.optimize_graph
    if not on:
        tf2onnx.optimizer.optimize_graph = lambda graph, *arguments, **options: graph
    yield
    tf2onnx.optimizer.optimize_graph = original


def export(
    net: Callable,
    shape: tuple,
    opset: int,
    planar: bool = False,
    optimise: bool = True,
    name: str = "input_1",
) -> onnx.ModelProto:
    signature = [tf.TensorSpec(shape, tf.float32, name=name)]
    function = tf.function(net, input_signature=signature)
    with optimiser(optimise):
        model, _ = tf2onnx.convert.from_function(
            function,
            input_signature=signature,
            opset=opset,
            inputs_as_nchw=[f"{name}:0"] if planar else None,
        )
    return model


# ---- keras.applications


def stack(version: int, depths: tuple[int, ...]) -> Callable:
    """Build keras.applications' ResNet50 from its own functions, with a 32nd of the
    channels after the stem."""
    make = {1: resnet.stack_residual_blocks_v1, 2: resnet.stack_residual_blocks_v2}[version]

    def stacked(x: keras.KerasTensor) -> keras.KerasTensor:
        for stage, (blocks, filters) in enumerate(zip(depths, (2, 4, 6, 8), strict=True)):
            still = stage == (0 if version == 1 else 3)
            x = make(
                x, filters, blocks, **({"stride1": 1} if still else {}), name=f"conv{stage + 2}"
            )
        return x

    return stacked


def application(version: int, seed: int) -> tuple[keras.Model, dict]:
    keras.backend.clear_session()
    depths = (3, 4, 6, 3)
    net = resnet.ResNet(
        stack(version, depths),
        version == 2,
        True,
        name="resnet50" + ("v2" if version == 2 else ""),
        weights=None,
        input_shape=(*SIZE, 3),
        classes=10,
        weights_name="resnet50",
    )
    randomise(net, seed, "bn" if version == 1 else "conv")
    blocks = residual_stages(depths)
    # a stage's last block has the stride; its shortcut is a 1x1 MaxPool, which skips
    # pixels
    if version == 2:
        for last in np.cumsum(depths)[:3]:
            blocks[last - 1] = "option_a"
    return net, {
        "architecture": "ResNet50" + ("V2" if version == 2 else ""),
        "blocks": blocks,
        "depth": 50,
    }


def write_applications() -> None:
    cases = [
        (1, 9, False, True),
        (1, 13, False, True),
        (1, 15, True, True),
        (1, 11, False, False),
        (2, 12, False, True),
        (2, 17, True, True),
        (2, 10, True, True),
        (2, 18, False, True),
        (2, 14, False, False),
    ]
    for number, (version, opset, planar, optimise) in enumerate(cases):
        net, expected = application(version, 400 + number)
        model = export(lambda x: net(x, training=False), (None, *SIZE, 3), opset, planar, optimise)
        name = f"resnet50{'v2' if version == 2 else ''}_opset{opset}{'_nchw' if planar else ''}"
        add(
            f"keras/{name}{'' if optimise else '_plain'}.onnx",
            model,
            source="Keras, tf2onnx",
            layout="NCHW" if planar else "NHWC",
            exporter=f"{EXPORTER}, opset {opset}",
            findings=APPLICATIONS[version],
            note=("--inputs-as-nchw" if planar else "NHWC input")
            + ("" if optimise else ", tf2onnx's optimiser off"),
            **expected,
        )


# ---- networks as people write them


def norm_relu(x: keras.KerasTensor, name: str, most: float | None) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(most, name=f"{name}_relu")(x)


def same_net(
    depths: tuple[int, ...], most: float | None, rescale: bool, separable: bool
) -> keras.Model:
    """Build strided convolutions with padding="same": pads differ between the sides,
    because the sizes are even."""
    keras.backend.clear_session()
    given = keras.Input((*SIZE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(given) if rescale else given
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem")(x)
    x = norm_relu(x, "stem", most)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    for stage, count in enumerate(depths):
        for index in range(count):
            channels, stride, name = (
                8 * (stage + 1),
                2 if stage and not index else 1,
                f"s{stage}b{index}",
            )
            y = layers.Conv2D(
                channels, 3, stride, padding="same", use_bias=False, name=f"{name}_1_conv"
            )(x)
            y = norm_relu(y, f"{name}_1", most)
            if separable:
                y = layers.DepthwiseConv2D(
                    3, padding="same", use_bias=False, name=f"{name}_2_depthwise"
                )(y)
                y = norm_relu(y, f"{name}_2", most)
            y = layers.Conv2D(
                channels,
                1 if separable else 3,
                padding="same",
                use_bias=False,
                name=f"{name}_3_conv",
            )(y)
            y = layers.BatchNormalization(name=f"{name}_3_bn")(y)
            if stride > 1:
                x = layers.Conv2D(channels, 1, stride, use_bias=False, name=f"{name}_0_conv")(x)
                x = layers.BatchNormalization(name=f"{name}_0_bn")(x)
            x = layers.ReLU(most, name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="average")(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return keras.Model(given, layers.Dense(10, name="scores")(x), name="same")


def write_same() -> None:
    cases = [
        ("relu6", 6.0, False, False, 12, False),
        ("relu6", 6.0, False, False, 9, True),
        ("rescaling", None, True, False, 13, False),
        ("separable", 6.0, False, True, 15, False),
    ]
    for number, (kind, most, rescale, separable, opset, planar) in enumerate(cases):
        net = same_net((2, 2, 2), most, rescale, separable)
        randomise(net, 500 + number, "bn")
        name = f"same_{kind}_opset{opset}{'_nchw' if planar else ''}"
        add(
            f"keras/{name}.onnx",
            export(lambda x: net(x, training=False), (None, *SIZE, 3), opset, planar),
            source="Keras, tf2onnx",
            architecture=f"basic blocks, SAME, {kind}",
            layout="NCHW" if planar else "NHWC",
            blocks=residual_stages((2, 2, 2), first="identity"),
            depth=20 if separable else 14,
            exporter=f"{EXPORTER}, opset {opset}",
            findings=["come from the graph"] if rescale else UNSAID,
            note="strided SAME convolutions and pool",
        )


def skip(x: keras.KerasTensor, channels: int, kind: str) -> keras.KerasTensor:
    """Append option A in TensorFlow's operations: every second pixel, and zeros for the
    missing channels."""
    missing = channels - x.shape[3]
    if kind == "pad":
        sides = [[0, 0], [0, 0], [0, 0], [missing // 2, missing - missing // 2]]
        return layers.Lambda(lambda t: tf.pad(t[:, ::2, ::2, :], sides))(x)
    x = layers.MaxPooling2D(1, 2)(x)
    return layers.Concatenate()([x, layers.Lambda(tf.zeros_like)(x)])


def option_a_net(kind: str, given_channels: int) -> keras.Model:
    keras.backend.clear_session()
    given = keras.Input((*SMALL, given_channels), name="image")
    x = norm_relu(
        layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(given), "stem", None
    )
    for stage in range(3):
        channels, stride, name = 4 << stage, 2 if stage else 1, f"s{stage}"
        y = layers.Conv2D(
            channels, 3, stride, padding="same", use_bias=False, name=f"{name}_1_conv"
        )(x)
        y = norm_relu(y, f"{name}_1", None)
        y = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_3_conv")(y)
        y = layers.BatchNormalization(name=f"{name}_3_bn")(y)
        x = skip(x, channels, kind) if stride > 1 else x
        x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.GlobalMaxPooling2D(name="maximum")(x)
    return keras.Model(given, layers.Dense(10, name="scores")(x), name="option_a")


SMALL = (33, 43)


def write_option_a() -> None:
    cases = [
        ("pad", 3, 11, False),
        ("pad", 3, 15, True),
        ("zeros", 3, 13, False),
        ("zeros", 1, 18, False),
    ]
    for number, (kind, channels, opset, planar) in enumerate(cases):
        net = option_a_net(kind, channels)
        randomise(net, 550 + number, "bn")
        grey = "grey_" if channels == 1 else ""
        add(
            f"keras/option_a_{grey}{kind}_opset{opset}{'_nchw' if planar else ''}.onnx",
            export(lambda x: net(x, training=False), (None, *SMALL, channels), opset, planar),
            source="Keras, tf2onnx",
            architecture=f"ResNet-8, option A, {kind}",
            size=SMALL,
            channels=channels,
            layout="NCHW" if planar else "NHWC",
            blocks=residual_stages((1, 1, 1), "option_a", "identity"),
            depth=8,
            exporter=f"{EXPORTER}, opset {opset}",
            findings=UNSAID if channels == 3 else [],
            note="option A in TensorFlow's operations, GlobalMaxPooling2D"
            + (", a grey image" if grey else ""),
        )


# ---- MLPerf's resnet50_v1


class Slim:
    """TensorFlow's official ResNet v1.5 in its own operations, from which MLPerf's file
    was made: fixed padding, 1,001 classes (here 11), a mean over the image, ArgMax beside
    the softmax."""

    def __init__(self, planar: bool, seed: int) -> None:
        self.planar, self.rng = planar, np.random.default_rng(seed)
        self.format, self.channel_axis = ("NCHW", 1) if planar else ("NHWC", 3)

    def both(self, value: int) -> list[int]:
        return [1, 1, value, value] if self.planar else [1, value, value, 1]

    def pad(self, x: tf.Tensor, kernel: int) -> tf.Tensor:
        sides = [[(kernel - 1) // 2, kernel // 2]] * 2
        return tf.pad(x, [[0, 0], [0, 0], *sides] if self.planar else [[0, 0], *sides, [0, 0]])

    def conv(
        self, x: tf.Tensor, out: int, kernel: int, stride: int, scale: float = 1.0
    ) -> tf.Tensor:
        shape = (kernel, kernel, x.shape[self.channel_axis], out)
        weight = self.rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3]))
        x = self.pad(x, kernel) if stride > 1 else x
        x = tf.nn.conv2d(
            x,
            weight.astype(np.float32),
            self.both(stride),
            "SAME" if stride == 1 else "VALID",
            self.format,
        )
        draws = (
            scale * self.rng.uniform(0.7, 1.2, out),
            0.2 * self.rng.standard_normal(out),
            0.1 * self.rng.standard_normal(out),
            self.rng.uniform(0.8, 1.5, out),
        )
        norms = [tf.constant(draw.astype(np.float32)) for draw in draws]
        return tf.compat.v1.nn.fused_batch_norm(
            x, *norms, epsilon=1e-5, data_format=self.format, is_training=False
        )[0]

    def block(self, x: tf.Tensor, filters: int, stride: int, first: bool) -> tf.Tensor:
        shortcut = self.conv(x, 4 * filters, 1, stride) if first else x
        y = tf.nn.relu(self.conv(x, filters, 1, 1))
        y = tf.nn.relu(self.conv(y, filters, 3, stride))
        return tf.nn.relu(self.conv(y, 4 * filters, 1, 1, scale=0.3) + shortcut)

    def __call__(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.nn.relu(self.conv(x, 8, 7, 2))
        x = tf.nn.max_pool2d(x, self.both(3), self.both(2), "SAME", self.format)
        for stage, (count, filters) in enumerate(zip((3, 4, 6, 3), (2, 4, 6, 8), strict=True)):
            for index in range(count):
                x = self.block(x, filters, 2 if stage and not index else 1, index == 0)
        x = tf.reduce_mean(x, [2, 3] if self.planar else [1, 2], keepdims=True)
        x = tf.squeeze(tf.identity(x, name="final_reduce_mean"), [2, 3] if self.planar else [1, 2])
        weight = self.rng.standard_normal((x.shape[1], 11)) * np.sqrt(1 / x.shape[1])
        x = tf.nn.bias_add(
            tf.matmul(x, weight.astype(np.float32)),
            tf.constant(np.linspace(-1, 1, 11, dtype=np.float32)),
        )
        x = tf.identity(x, name="final_dense")
        return tf.argmax(x, axis=1), tf.nn.softmax(x, name="softmax_tensor")


def rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Give tensors the names of MLPerf's file, which the converter's command line
    keeps."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names.get(value.name, value.name)


def write_mlperf() -> None:
    for number, (opset, planar, batch) in enumerate(
        [(8, True, None), (11, True, None), (11, False, 1), (8, False, None)]
    ):
        shape = (batch, 3, *SIZE) if planar else (batch, *SIZE, 3)
        model = export(Slim(planar, 600 + number), shape, opset, name="input_tensor")
        outputs = [value.name for value in model.graph.output]
        rename(
            model,
            dict(
                zip(
                    [model.graph.input[0].name, *outputs],
                    ["input_tensor:0", "ArgMax:0", "softmax_tensor:0"],
                    strict=True,
                )
            ),
        )
        stem = f"mlperf/resnet50_v1_opset{opset}_{'nchw' if planar else 'nhwc'}"
        two = {
            "status": "RESNET_ERROR_UNSUPPORTED",
            "message": ["2 outputs", "'ArgMax:0'", "'softmax_tensor:0'"],
        }
        index = {"status": "RESNET_ERROR_UNSUPPORTED", "message": ["ArgMax"]}
        add(
            f"{stem}.onnx",
            model,
            source="MLPerf, tf2onnx",
            architecture="resnet50_v1",
            depth=50,
            batch=batch,
            layout="NCHW" if planar else "NHWC",
            blocks=residual_stages((3, 4, 6, 3)),
            exporter=f"tensorflow {tf.__version__}, tf2onnx {tf2onnx.__version__}, opset {opset}",
            options={"output": "softmax_tensor:0"},
            findings=UNSAID,
            note="outputs ArgMax:0 and softmax_tensor:0, one class more",
            also=[
                {"options": {}, "refused": two},
                {"options": {"output": "ArgMax:0"}, "refused": index},
            ],
        )


def main() -> None:
    write_applications()
    write_same()
    write_option_a()
    write_mlperf()


if __name__ == "__main__":
    main()
