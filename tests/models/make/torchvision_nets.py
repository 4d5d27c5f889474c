"""Write torchvision's ResNets, made narrow, through both of PyTorch's exporters.

python torchvision_nets.py
"""

from __future__ import annotations

import torch
import torchvision
from common import add, residual_stages
from torch import nn
from torch_common import VERSION, dynamo, randomise, torchscript
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

EXPORTER = f"{VERSION}, torchvision {torchvision.__version__.split('+')[0]}"
SIZE = (64, 96)


class Narrow(ResNet):
    """torchvision's own network with a fraction of the channels, where its constructor
    fixes 64, 128, 256 and 512."""

    def __init__(self, *arguments: object, divide: int, **options: object) -> None:
        self.divide = divide
        super().__init__(*arguments, **options)

    def _make_layer(
        self, block: type, planes: int, blocks: int, *rest: object, **options: object
    ) -> nn.Sequential:
        if planes == 64:
            self.inplanes = 64 // self.divide
            self.conv1 = nn.Conv2d(3, self.inplanes, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.last = planes // self.divide * block.expansion
        return super()._make_layer(block, planes // self.divide, blocks, *rest, **options)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "fc":
            value = nn.Linear(self.last, value.out_features)
        super().__setattr__(name, value)


def net(
    block: type, layers: list[int], divide: int, seed: int, classes: int = 10, **options: object
) -> nn.Module:
    return randomise(
        Narrow(block, layers, num_classes=classes, divide=divide, **options), SIZE, seed
    )


NETS = {
    "resnet18": (BasicBlock, [2, 2, 2, 2], 32, {}),
    "resnet34": (BasicBlock, [3, 4, 6, 3], 32, {}),
    "resnet50": (Bottleneck, [3, 4, 6, 3], 32, {}),
    "resnext50": (Bottleneck, [3, 4, 6, 3], 32, {"groups": 4, "width_per_group": 32}),
    "wide_resnet50": (Bottleneck, [3, 4, 6, 3], 64, {"width_per_group": 128}),
}


def make(kind: str, seed: int, divide: int | None = None) -> tuple[nn.Module, dict]:
    """Return the network, and what the tests expect of it."""
    block, layers, usual, options = NETS[kind]
    first = "identity" if block is BasicBlock else "projection"
    depth = sum(layers) * (2 if block is BasicBlock else 3) + 2
    expected = {
        "architecture": kind,
        "blocks": residual_stages(layers, first=first),
        "depth": depth,
    }
    return net(block, layers, divide or usual, seed, **options), expected


def write(
    kind: str,
    exporter: str,
    opset: int | None,
    name: str = "",
    *,
    seed: int,
    note: str = "",
    batch: int | None = None,
    free: tuple[int, ...] = (0,),
    entry: dict | None = None,
    **options: object,
) -> None:
    """Write one file, named by its network, exporter and opset."""
    module, expected = make(kind, seed)
    shape = (batch or 1, 3, *SIZE)
    if exporter == "dynamo":
        model = dynamo(module, shape, opset, free=free, **options)
    else:
        model = torchscript(module, shape, opset, free=free, **options)
    used = model.opset_import[0].version
    add(
        f"torchvision/{kind}_{exporter}_opset{used}{name}.onnx",
        model,
        source=f"torchvision, {SPELLED[exporter]}",
        exporter=f"{EXPORTER}, opset {used}",
        note=note,
        batch=batch,
        **expected,
        **(entry or {}),
    )


def write_half() -> None:
    """Write a network that was converted to float16 before its export."""
    module, expected = make("resnet18", 60)
    for exporter, opset in ((torchscript, 17), (dynamo, 20)):
        short = "ts" if exporter is torchscript else "dynamo"
        model = exporter(module.half(), (1, 3, *SIZE), opset, element=torch.float16)
        add(
            f"torchvision/resnet18_{short}_opset{opset}_half.onnx",
            model,
            source=f"torchvision, {SPELLED[short]}",
            exporter=f"{EXPORTER}, opset {opset}",
            judge="widened",
            note="float16 throughout, its input, too",
            **expected,
        )


def write_frozen() -> None:
    """Write torchvision's FrozenBatchNorm2d, as detection networks have it: arithmetic
    instead of a normalisation."""
    block, layers, divide, options = NETS["resnet18"]
    usual, expected = make("resnet18", 61)
    frozen = Narrow(
        block,
        layers,
        num_classes=10,
        divide=divide,
        norm_layer=torchvision.ops.FrozenBatchNorm2d,
        **options,
    )
    frozen.load_state_dict(usual.state_dict(), strict=False)
    frozen.bn1 = torchvision.ops.FrozenBatchNorm2d(usual.bn1.num_features)
    frozen.bn1.load_state_dict(usual.bn1.state_dict())
    for exporter, opset, name, fold in (
        (torchscript, 13, "", {}),
        (torchscript, 16, "_plain", {"do_constant_folding": False}),
        (dynamo, 18, "", {}),
        (dynamo, 22, "_plain", {"optimize": False}),
    ):
        short = "ts" if exporter is torchscript else "dynamo"
        model = exporter(frozen.eval(), (1, 3, *SIZE), opset, **fold)
        add(
            f"torchvision/resnet18_{short}_opset{opset}_frozen{name}.onnx",
            model,
            exporter=f"{EXPORTER}, opset {opset}",
            source=f"torchvision, {SPELLED[short]}",
            note="FrozenBatchNorm2d" + (", nothing folded" if fold else ""),
            **expected,
        )


SPELLED = {"ts": "TorchScript exporter", "dynamo": "dynamo exporter"}


def write_torchscript() -> None:
    for opset in (7, 8, 9, 11, 13, 16, 18, 20):
        write("resnet18", "ts", opset, seed=opset)
    for kind, opset in (
        ("resnet50", 10),
        ("resnet50", 17),
        ("resnet34", 12),
        ("resnext50", 13),
        ("wide_resnet50", 14),
    ):
        write(kind, "ts", opset, seed=opset)
    unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    write("resnet18", "ts", 15, "_bn", seed=30, note="BatchNormalization kept", **unfolded)
    write("resnet18", "ts", 13, "_batch1", seed=31, free=(), batch=1, note="batch frozen at 1")
    write(
        "resnet50",
        "ts",
        17,
        "_anysize",
        seed=32,
        free=(0, 2, 3),
        note="height and width symbolic",
        entry={"options": {"size": [80, 48]}},
    )
    write(
        "resnet18",
        "ts",
        12,
        "_inputs",
        seed=33,
        keep_initializers_as_inputs=True,
        note="initialisers are also inputs of the graph",
    )


def write_dynamo() -> None:
    write(
        "resnet18",
        "dynamo",
        None,
        seed=40,
        entry={"keep_traces": True},
        note="with the exporter's metadata",
    )
    for kind, opset in (
        ("resnet50", 18),
        ("resnext50", 21),
        ("wide_resnet50", 22),
        ("resnet18", 23),
        ("resnet18", 24),
        ("resnet50", 25),
        ("resnet18", 26),
    ):
        write(kind, "dynamo", opset, seed=20 + opset)
    write(
        "resnet18",
        "dynamo",
        18,
        "_external",
        seed=50,
        note="external data, as this exporter writes it by default",
        entry={
            "external": "resnet18_dynamo_opset18_external.onnx.data",
            "options": {"external_data": True},
            "also": [
                {
                    "options": {},
                    "refused": {"status": "RESNET_ERROR_UNSUPPORTED", "message": ["external"]},
                }
            ],
        },
    )
    write("resnet18", "dynamo", 18, "_batch2", seed=51, free=(), batch=2, note="batch frozen at 2")
    write(
        "resnet50",
        "dynamo",
        20,
        "_anysize",
        seed=52,
        free=(0, 2, 3),
        note="height and width symbolic",
        entry={"options": {"size": [80, 48]}},
    )
    write(
        "resnet18",
        "dynamo",
        20,
        "_plain",
        seed=53,
        optimize=False,
        note="exported without onnxscript's optimiser",
    )


def main() -> None:
    write_torchscript()
    write_half()
    write_frozen()
    write_dynamo()


if __name__ == "__main__":
    main()
