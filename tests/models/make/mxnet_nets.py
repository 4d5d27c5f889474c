"""Write the model zoo's resnet*-v1-7 and v2-7, made narrow: MXNet's own networks through
its own exporter.

    python mxnet_nets.py

Needs an environment of its own, with the MXNet of the zoo's time: numpy==1.23.5,
onnx==1.14.1, protobuf<4, graphviz, requests, and mxnet==1.5.1 installed with --no-deps.
The exporter was written for onnx 1.2. That version's checker accepted the attribute
`spatial`, and it wrote opset 7 and IR version 3; this script restores both.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np
import onnx
from common import add, residual_stages
from mxnet.contrib import onnx as mxnet_onnx
from mxnet.gluon.model_zoo.vision import resnet as zoo

logging.disable(logging.WARNING)
SIZE = (64, 96)
BASIC = [2, 2, 4, 8, 16]
BOTTLENECK = [2, 8, 16, 24, 32]


def randomise(net: mx.gluon.Block, seed: int) -> None:
    """Draw random weights, and normalise by the statistics of random images."""
    mx.random.seed(seed)
    rng = np.random.default_rng(seed)
    net.initialize(mx.init.Zero())
    net(mx.nd.zeros((1, 3, *SIZE)))
    for name, parameter in net.collect_params().items():
        shape = parameter.shape
        if name.endswith("weight"):
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("bias"):
            value = 0.2 * rng.standard_normal(shape)
        elif name.endswith("gamma"):
            value = rng.uniform(0.6, 1.2, shape) if parameter.grad_req != "null" else np.ones(shape)
        elif name.endswith("beta"):
            value = (
                0.2 * rng.standard_normal(shape)
                if parameter.grad_req != "null"
                else np.zeros(shape)
            )
        else:
            value = np.full(shape, 1.0 if name.endswith("var") else 0.0)
        parameter.set_data(mx.nd.array(value))
    for block in residual_blocks(net):
        end = end_of(block)
        end.set_data(0.3 * end.data())
    images = mx.nd.array(rng.standard_normal((32, 3, *SIZE)))
    with mx.autograd.train_mode():
        for _ in range(60):  # running averages of momentum 0.9
            net(images).wait_to_read()
    for name, parameter in net.collect_params().items():
        if name.endswith("running_var"):
            value = parameter.data().asnumpy()
            parameter.set_data(mx.nd.array(np.maximum(value, 0.3 * value.mean())))


def residual_blocks(net: mx.gluon.Block) -> list[mx.gluon.Block]:
    kinds = (zoo.BasicBlockV1, zoo.BottleneckV1, zoo.BasicBlockV2, zoo.BottleneckV2)
    found: list[mx.gluon.Block] = []
    net.apply(lambda part: found.append(part) if isinstance(part, kinds) else None)
    return found


def end_of(block: mx.gluon.Block) -> mx.gluon.Parameter:
    """Return the scale at the end of a residual branch. It is small in trained networks;
    else rounding errors grow with every block."""
    if isinstance(block, (zoo.BasicBlockV1, zoo.BottleneckV1)):
        return block.body[-1].gamma
    return (block.conv3 if isinstance(block, zoo.BottleneckV2) else block.conv2).weight


def export(net: mx.gluon.HybridBlock, batch: int) -> onnx.ModelProto:
    net.hybridize()
    net(mx.nd.zeros((batch, 3, *SIZE)))
    onnx.checker.check_graph = lambda graph: None
    with tempfile.TemporaryDirectory() as folder:
        at = str(Path(folder) / "net")
        net.export(at)
        mxnet_onnx.export_model(
            f"{at}-symbol.json", f"{at}-0000.params", [(batch, 3, *SIZE)], np.float32, f"{at}.onnx"
        )
        model = onnx.load(f"{at}.onnx")
    del model.opset_import[:]
    model.opset_import.add(domain="", version=7)
    model.ir_version = 3
    model.producer_name = ""
    return model


NETS = {
    "resnet18_v1": (zoo.ResNetV1, zoo.BasicBlockV1, [2, 2, 2, 2], BASIC),
    "resnet34_v1": (zoo.ResNetV1, zoo.BasicBlockV1, [3, 4, 6, 3], BASIC),
    "resnet50_v1": (zoo.ResNetV1, zoo.BottleneckV1, [3, 4, 6, 3], BOTTLENECK),
    "resnet18_v2": (zoo.ResNetV2, zoo.BasicBlockV2, [2, 2, 2, 2], BASIC),
    "resnet50_v2": (zoo.ResNetV2, zoo.BottleneckV2, [3, 4, 6, 3], BOTTLENECK),
}


def main() -> None:
    for number, (kind, (net_class, block, layers, channels)) in enumerate(NETS.items()):
        # Without a prefix MXNet numbers names by how many networks it made before.
        net = net_class(block, layers, channels, classes=10, prefix=f"{kind.replace('_', '')}0_")
        randomise(net, 300 + number)
        basic = block in (zoo.BasicBlockV1, zoo.BasicBlockV2)
        add(
            f"mxnet/{kind.replace('_', '-')}-7.onnx",
            export(net, 1),
            source="ONNX model zoo, MXNet",
            architecture=kind,
            depth=(2 if basic else 3) * sum(layers) + 2,
            batch=1,
            blocks=residual_stages(layers, first="identity" if basic else "projection"),
            exporter=f"mxnet {mx.__version__}, opset 7, IR 3",
            note="spatial on BatchNormalization, initialisers as inputs",
        )


if __name__ == "__main__":
    main()
