"""Write an iResNet as InsightFace trains it (arcface_torch/backbones/iresnet.py), made
narrow: batch normalisation before and after the convolutions, PReLU, no ReLU after the
sum, and an embedding of 512 numbers behind Dropout, Flatten, Gemm and batch
normalisation.

    python iresnet_nets.py

`network` also makes it in full width, for tests/oracle/test_iresnet.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from common import add, residual_stages
from helper_common import EXPORTER, Net
from onnx import TensorProto

SIZE = (112, 112)
EMBEDDING = 512
LAYERS_18, LAYERS_50 = (2, 2, 2, 2), (3, 4, 14, 3)
NARROW, FULL = (4, 8, 6, 3), (64, 128, 256, 512)


class IResNet(Net):
    """InsightFace's network, node by node as PyTorch's exporter names its operators."""

    def prelu(self, x: str, name: str) -> str:
        slopes = 0.25 + 0.1 * self.rng.standard_normal((self.channels[x], 1, 1))
        return self.node("PRelu", name, [x, self.constant(f"{name}.weight", np.float32(slopes))])

    def block(self, x: str, name: str, channels: int, stride: int, bottleneck: bool) -> str:
        assert not bottleneck
        y = self.norm(x, f"{name}.bn1")
        y = self.prelu(self.conv(y, f"{name}.conv1", channels, 3), f"{name}.prelu")
        y = self.conv(y, f"{name}.conv2", channels, 3, stride, scale=0.3)
        if stride > 1:
            x = self.conv(x, f"{name}.downsample", channels, 1, stride)
        return self.add(y, x, f"{name}.add")

    def embedding(self, x: str, half: bool) -> str:
        """Append the head. With `half` the weights are float16, behind a Cast, so that
        the file is small."""
        x = self.dropout(self.norm(x, "bn2"), "dropout", 0.4)
        pixels = 7 * 7 * self.channels[x]
        x = self.node("Flatten", "flatten", [x], axis=1)
        scale = np.float32(np.sqrt(1 / pixels))
        values = scale * self.rng.standard_normal((EMBEDDING, pixels), dtype=np.float32)
        weight = self.constant("fc.weight", values.astype(np.float16) if half else values)
        if half:
            weight = self.node("Cast", "fc.cast", [weight], to=TensorProto.FLOAT)
        y = self.node(
            "Gemm", "fc", [x, weight, self.normal("fc.bias", (EMBEDDING,), 0.1)], transB=1
        )
        self.channels[y] = EMBEDDING
        return self.norm(y, "features")


def network(
    layers: Sequence[int], widths: Sequence[int], seed: int, half: bool = False
) -> onnx.ModelProto:
    net = IResNet(seed, opset=13)
    net.channels["input"] = 3
    x = net.prelu(net.conv("input", "conv1", widths[0], 3), "prelu")
    for stage, (count, width) in enumerate(zip(layers, widths, strict=True)):
        for index in range(count):
            name = f"layer{stage + 1}.{index}"
            x = net.block(x, name, width, 1 if index else 2, bottleneck=False)
    return net.file(net.embedding(x, half), EMBEDDING, size=SIZE)


def main() -> None:
    add(
        "insightface/iresnet18_opset13.onnx",
        network(LAYERS_18, NARROW, 1100, half=True),
        source="InsightFace's iResNet, node by node",
        architecture="iresnet18",
        exporter=EXPORTER,
        size=SIZE,
        blocks=residual_stages(LAYERS_18),
        depth=18,
        note="PRelu, batch normalisation before and after, an embedding of 512",
    )


if __name__ == "__main__":
    main()
