#!/usr/bin/env python3
"""Write a trained network as ONNX (opset 13), with labels and preprocessing inside.

As a program it exports a checkpoint of train.py and compares the result with PyTorch.
"""

from __future__ import annotations

import argparse
import os
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from arguments import existing_file, output_file
from images import Preprocess
from nets import Block, CifarNet
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 13
IR_VERSION = 7


@dataclass(frozen=True)
class Card:
    """What the file says about itself, in metadata_props."""

    name: str
    kind: str
    depth: int
    labels: list[str]
    preprocess: str
    licence: str
    trained_on: str

    def as_dict(self) -> dict:
        """Return plain types only, which a checkpoint can hold."""
        return asdict(self)

    def metadata(self) -> dict[str, str]:
        """Return the keys that the C library reads."""
        return {
            "resnet.name": self.name,
            "resnet.labels": "\n".join(self.labels),
            "resnet.preprocess": self.preprocess,
            "resnet.licence": self.licence,
            "resnet.trained_on": self.trained_on,
        }


@dataclass
class Graph:
    """Nodes and constants in the order in which they are made."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray | Tensor) -> str:
        """Store a constant and return its name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(
        self, operator: str, name: str, inputs: list[str], output: str = "", **attributes
    ) -> str:
        """Append a node and return its output's name."""
        output = output or f"{name}/output"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def conv_bn(self, conv: nn.Conv2d, bn: nn.BatchNorm2d, scope: str, number: int, x: str) -> str:
        """Append a convolution and its batch normalisation, which the loader folds."""
        name = f"{scope}/conv{number}"
        weight = self.constant(f"{name}.weight", conv.weight)
        pads = [conv.padding[0], conv.padding[1]] * 2
        x = self.node(
            "Conv", name, [x, weight], kernel_shape=conv.kernel_size, strides=conv.stride, pads=pads
        )
        name = f"{scope}/bn{number}"
        values = {
            "weight": bn.weight,
            "bias": bn.bias,
            "running_mean": bn.running_mean,
            "running_var": bn.running_var,
        }
        inputs = [self.constant(f"{name}.{key}", value) for key, value in values.items()]
        return self.node("BatchNormalization", name, [x, *inputs], epsilon=bn.eps)

    def option_a(self, block: Block, scope: str, x: str) -> str:
        """Append an option-A shortcut: every stride-th pixel, then zero channels."""
        name = f"{scope}/shortcut/slice"
        bounds = {
            "starts": [0, 0],
            "ends": [np.iinfo(np.int64).max] * 2,
            "axes": [2, 3],
            "steps": [block.stride] * 2,
        }
        inputs = [
            self.constant(f"{name}.{key}", np.array(value, np.int64))
            for key, value in bounds.items()
        ]
        x = self.node("Slice", name, [x, *inputs])
        name = f"{scope}/shortcut/pad"
        pads = [0, block.zeros_before, 0, 0, 0, block.zeros_after, 0, 0]
        amounts = self.constant(f"{name}.pads", np.array(pads, np.int64))
        zero = self.constant(f"{name}.value", np.array(0, np.float32))
        return self.node("Pad", name, [x, amounts, zero], mode="constant")

    def block(self, block: Block, scope: str, x: str) -> str:
        """Append a residual block, or the two layers of a plain one."""
        y = self.conv_bn(block.conv1, block.bn1, scope, 1, x)
        y = self.node("Relu", f"{scope}/relu1", [y])
        y = self.conv_bn(block.conv2, block.bn2, scope, 2, y)
        if block.residual:
            shortcut = self.option_a(block, scope, x) if block.changes_shape else x
            y = self.node("Add", f"{scope}/add", [y, shortcut])
        return self.node("Relu", f"{scope}/relu2", [y])


def build_graph(net: CifarNet) -> Graph:
    """Write out the network's forward pass."""
    graph = Graph()
    x = graph.conv_bn(net.conv1, net.bn1, "", 1, "input")
    x = graph.node("Relu", "/relu1", [x])
    for stage in ("layer1", "layer2", "layer3"):
        for name, block in getattr(net, stage).named_children():
            x = graph.block(block, f"/{stage}/{name}", x)
    x = graph.node("GlobalAveragePool", "/pool", [x])
    x = graph.node("Flatten", "/flatten", [x], axis=1)
    parameters = [
        graph.constant("/fc.weight", net.fc.weight),
        graph.constant("/fc.bias", net.fc.bias),
    ]
    graph.node("Gemm", "/fc", [x, *parameters], output="logits", transB=1)
    return graph


def make_model(net: CifarNet, card: Card, side: int) -> onnx.ModelProto:
    """Return the checked model: input (batch,3,side,side), output logits
    (batch,classes)."""
    built = build_graph(net)
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, side, side])
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["batch", net.fc.out_features]
    )
    graph = helper.make_graph(built.nodes, card.name, [image], [logits], built.constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="libresnet"
    )
    model.ir_version = IR_VERSION
    helper.set_model_props(model, card.metadata())
    onnx.checker.check_model(model, full_check=True)
    return model


def save_onnx(net: CifarNet, card: Card, path: Path) -> None:
    """Write the network in evaluation mode."""
    side = Preprocess.parse(card.preprocess).crop
    path.write_bytes(make_model(net, card, side).SerializeToString(deterministic=True))


def load_checkpoint(path: Path) -> tuple[CifarNet, Card]:
    """Return a checkpoint's network, in evaluation mode, and its card."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    card = Card(**state["card"])
    net = CifarNet(card.kind, card.depth, len(card.labels))
    net.load_state_dict(state["net"])
    return net.eval(), card


@torch.inference_mode()
def largest_difference(net: CifarNet, path: Path) -> float:
    """Compare PyTorch's and onnxruntime's logits on random input, relative to the largest
    logit."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _, channels, height, width = session.get_inputs()[0].shape
    images = torch.randn(16, channels, height, width, generator=torch.Generator().manual_seed(0))
    expected = net(images).numpy()
    (found,) = session.run(None, {"input": images.numpy()})
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> None:
    """Export one checkpoint."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python models/export.py runs/resnet20/checkpoint.pt -o resnet20.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=existing_file, help="checkpoint.pt, from train.py")
    parser.add_argument(
        "-o", "--output", type=output_file, required=True, help="the .onnx file to write"
    )
    options = parser.parse_args()
    try:
        net, card = load_checkpoint(options.checkpoint)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, RuntimeError):
        parser.error(f"{options.checkpoint} is no checkpoint of train.py")
    temporary = options.output.with_name(options.output.name + ".tmp")
    save_onnx(net, card, temporary)
    difference = largest_difference(net, temporary)
    if difference > 1e-4:
        raise SystemExit(f"{temporary}: differs from PyTorch by {difference:.1e}, relative")
    os.replace(temporary, options.output)
    print(f"wrote {options.output}: {card.name}, within {difference:.1e} of PyTorch")


if __name__ == "__main__":
    main()
