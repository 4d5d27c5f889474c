"""Write timm's residual networks, made narrow through its own constructors' arguments,
through both of PyTorch's exporters.

    python timm_nets.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import timm
import torch
from common import add, residual_stages
from timm.layers import BlurPool2d
from timm.models import resnet
from torch_common import VERSION, dynamo, randomise, torchscript

EXPORTER = f"{VERSION}, timm {timm.__version__}"
SIZE = (64, 96)
BASIC = {"channels": (2, 4, 8, 16)}
BOTTLENECK = {"channels": (2, 4, 6, 8)}
DEEP = {"channels": (2, 4, 6, 8), "stem_width": 2}
SHORT = {"channels": (2, 4, 6, 8), "layers": (2, 1, 1, 1)}
SHORT_DEEP = {**DEEP, "layers": (2, 1, 1, 1)}
STEM = 2  # channels of the stems for which timm's constructor fixes 64


@contextlib.contextmanager
def narrow_stem() -> Iterator[None]:
    """Let the first stage of a network follow a stem of STEM channels."""
    original = resnet.make_blocks

    def with_narrow_stem(
        blocks: tuple, channels: tuple, layers: tuple, inplanes: int, **options: object
    ) -> tuple:
        return original(blocks, channels, layers, STEM if inplanes == 64 else inplanes, **options)

    resnet.make_blocks = with_narrow_stem
    yield
    resnet.make_blocks = original


def make(kind: str, seed: int, **options: object) -> torch.nn.Module:
    with narrow_stem():
        module = timm.create_model(kind, pretrained=False, num_classes=10, **options)
    if (
        getattr(module, "conv1", None) is not None
        and getattr(module.conv1, "out_channels", 0) == 64
    ):
        module.conv1 = torch.nn.Conv2d(3, STEM, 7, 2, 3, bias=False)
        module.bn1 = torch.nn.BatchNorm2d(STEM)
        if "blur" in kind:
            module.maxpool[1] = BlurPool2d(channels=STEM, stride=2)
    return randomise(module, SIZE, seed)


# kind: its options here, blocks per stage, depth (convolutions in a row and the
# classifier, without those of the gates)
NETS = {
    "resnet18": (BASIC, (2, 2, 2, 2), 18),
    "resnet18d": ({**BASIC, "stem_width": 1}, (2, 2, 2, 2), 20),
    "resnet50": (BOTTLENECK, (3, 4, 6, 3), 50),
    "resnet50d": (DEEP, (3, 4, 6, 3), 52),
    "resnet50t": ({**SHORT_DEEP, "stem_width": 8}, (2, 1, 1, 1), 19),
    "seresnet18": (BASIC, (2, 2, 2, 2), 18),
    "seresnet50": (BOTTLENECK, (3, 4, 6, 3), 50),
    "seresnext50_32x4d": ({**SHORT, "cardinality": 2, "base_width": 64}, (2, 1, 1, 1), 17),
    "ecaresnet26t": ({**SHORT_DEEP, "stem_width": 8, "layers": (2, 2, 2, 2)}, (2, 2, 2, 2), 28),
    "ecaresnet50d": (DEEP, (3, 4, 6, 3), 52),
    "resnetblur18": (BASIC, (2, 2, 2, 2), 18),
    "resnetblur50": (BOTTLENECK, (3, 4, 6, 3), 50),
    "resnetaa50": (SHORT, (2, 1, 1, 1), 17),
    "resnetrs50": (SHORT_DEEP, (2, 1, 1, 1), 20),
    "resnext50_32x4d": ({**BOTTLENECK, "cardinality": 2, "base_width": 64}, (3, 4, 6, 3), 50),
    "wide_resnet50_2": (SHORT, (2, 1, 1, 1), 17),
    "resnetv2_18": ({"channels": (4, 8, 12, 16), "stem_chs": 4}, (2, 2, 2, 2), 18),
    "resnetv2_50": ({"channels": (8, 16, 24, 32), "stem_chs": 4}, (3, 4, 6, 3), 50),
    "resnetv2_50d": (
        {"channels": (8, 16, 24, 32), "stem_chs": 4, "layers": (2, 1, 1, 1)},
        (2, 1, 1, 1),
        19,
    ),
}


# Also run with images of odd sizes, which show pools that round up and reflected borders.
ODD = ("resnet18", "resnet50d", "seresnet18", "ecaresnet26t", "resnetblur18", "resnetv2_50d")


def write(
    kind: str,
    exporter: str,
    opset: int | None,
    seed: int,
    name: str = "",
    note: str = "",
    options: dict | None = None,
    entry: dict | None = None,
    **export: object,
) -> None:
    """Write one file, named by its network, exporter and opset."""
    arguments, layers, depth = NETS[kind]
    module = make(kind, seed, **arguments, **(options or {}))
    model = {"ts": torchscript, "dynamo": dynamo}[exporter](module, (1, 3, *SIZE), opset, **export)
    used = model.opset_import[0].version
    spelled = {"ts": "TorchScript exporter", "dynamo": "dynamo exporter"}[exporter]
    first = "identity" if "18" in kind else "projection"
    add(
        f"timm/{kind}_{exporter}_opset{used}{name}.onnx",
        model,
        source=f"timm, {spelled}",
        architecture=kind,
        depth=depth,
        blocks=residual_stages(layers, first=first),
        exporter=f"{EXPORTER}, opset {used}",
        note=note,
        **(entry or {}),
    )


def main() -> None:
    for number, kind in enumerate(NETS):
        odd = {"also": [{"options": {"size": [75, 107]}}]} if kind in ODD else {}
        write(kind, "ts", (11, 13, 17)[number % 3], seed=100 + number, entry=odd)
        write(kind, "dynamo", (18, 20, 22)[number % 3], seed=200 + number)


if __name__ == "__main__":
    main()
