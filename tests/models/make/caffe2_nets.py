"""Write the model zoo's caffe2 files (opset 3 to 9) by hand, because their exporter is
gone.

    python caffe2_nets.py

Sum adds the shortcut. Attributes that later opsets dropped are there: consumed_inputs,
is_test, broadcast, the shape of Reshape; ratio and is_test of Dropout. Initialisers are
inputs.
"""

from __future__ import annotations

import numpy as np
from common import add
from helper_common import BLOCKS, CHANNELS, DEPTH, EXPORTER, LAYERS, SIZE, Net, residual_stages

CLASSES = 10


class Caffe2(Net):
    def consumed(self, count: int) -> dict:
        return {"consumed_inputs": [0] * count} if self.opset < 6 else {}

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        values = values or self.draw_norm(self.channels[x], 1.0)
        old = (
            {"is_test": 1, "spatial": 1}
            if self.opset < 7
            else {"spatial": 1}
            if self.opset < 9
            else {}
        )
        if self.opset < 6:
            old["consumed_inputs"] = [0, 0, 0, 1, 1]
        inputs = [x, *(self.constant(f"{name}.{key}", array) for key, array in values.items())]
        return self.node("BatchNormalization", name, inputs, epsilon=1e-5, momentum=0.9, **old)

    def relu(self, x: str, name: str) -> str:
        return self.node("Relu", name, [x], **self.consumed(1))

    def add(self, a: str, b: str, name: str) -> str:
        return self.node("Sum", name, [a, b], **self.consumed(2))

    def scale_and_shift(self, x: str, name: str) -> str:
        """Append a Scale layer of Caffe: Mul and Add by channel, whose second input is
        broadcast from axis 1 on."""
        for kind, draw in (
            ("Mul", self.rng.uniform(0.8, 1.2, self.channels[x])),
            ("Add", 0.2 * self.rng.standard_normal(self.channels[x])),
        ):
            stretched = self.opset < 7
            shape = (-1,) if stretched else (-1, 1, 1)
            factor = self.constant(f"{name}.{kind}", draw.astype(np.float32).reshape(shape))
            x = self.node(
                kind,
                f"{name}.{kind}.node",
                [x, factor],
                **({"broadcast": 1, "axis": 1} if stretched else {}),
            )
        return x

    def classifier(self, x: str, classes: int) -> str:
        x = self.scale_and_shift(x, "scale")
        x = self.node(
            "AveragePool",
            "average",
            [x],
            kernel_shape=[SIZE[0] // 16, SIZE[1] // 16],
            strides=[1, 1],
            pads=[0, 0, 0, 0],
        )
        x = self.node(
            "Dropout",
            "dropout",
            [x],
            ratio=0.5,
            **({"is_test": 1} if self.opset < 7 else {}),
            **self.consumed(1),
        )
        features = self.channels[x]
        if self.opset < 5:
            x = self.node("Reshape", "reshape", [x], shape=[0, features], **self.consumed(1))
        else:
            x = self.node(
                "Reshape", "reshape", [x, self.constant("shape", np.array([0, features], np.int64))]
            )
        weight = self.normal("fc.weight", (classes, features), 1 / np.sqrt(features))
        bias = self.normal("fc.bias", (classes,), 0.3)
        x = self.node(
            "Gemm",
            "fc",
            [x, weight, bias],
            transB=1,
            alpha=1.0,
            beta=1.0,
            **({"broadcast": 1} if self.opset < 7 else {}),
        )
        return self.node("Softmax", "softmax", [x], axis=1)


def main() -> None:
    for opset in (3, 4, 5, 6, 7, 8, 9):
        net = Caffe2(700 + opset, opset)
        bottleneck = opset in (3, 9)
        channels = (2, 4, 6) if bottleneck else CHANNELS
        output = net.residual(LAYERS, channels, bottleneck)
        blocks = residual_stages(LAYERS, first="identity") if bottleneck else BLOCKS
        add(
            f"caffe2/{'resnet50' if bottleneck else 'resnet18'}_opset{opset}.onnx",
            net.file(output, batch=1),
            source="ONNX model zoo, caffe2",
            batch=1,
            blocks=blocks,
            architecture="resnet50, 3 stages" if bottleneck else "resnet18, 3 stages",
            depth=20 if bottleneck else DEPTH,
            exporter=f"{EXPORTER}, opset {opset}, IR {3 if opset < 9 else 4}",
            note="Sum, Dropout and the attributes of its time",
        )


if __name__ == "__main__":
    main()
