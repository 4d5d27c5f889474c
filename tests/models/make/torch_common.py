"""For networks made by PyTorch: weights and statistics as in a trained network, and both
exporters."""

from __future__ import annotations

import io
import math
import warnings

import onnx
import torch
from torch import nn

warnings.filterwarnings("ignore")
VERSION = "torch " + torch.__version__.split("+")[0]


def branch_ends(module: nn.Module) -> list[nn.Module]:
    """Return the scales at the ends of residual branches. They are small in trained
    networks; else rounding errors grow with every block."""
    ends = []
    for part in module.modules():
        if hasattr(part, "conv2") and hasattr(part, "bn2"):
            ends.append(getattr(part, "bn3", part.bn2))
        elif hasattr(part, "conv2") and hasattr(
            part, "norm2"
        ):  # pre-activation: a convolution ends it
            ends.append(getattr(part, "conv3", part.conv2))
    return ends


def randomise(
    module: nn.Module, size: tuple[int, int], seed: int = 0, channels: int = 3
) -> nn.Module:
    """Draw random weights, normalise by the statistics of random images, and make scores
    that differ between classes."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Conv1d, nn.Linear)):
            nn.init.normal_(part.weight, std=math.sqrt(2 / part.weight[0].numel()))
            if part.bias is not None:
                nn.init.normal_(part.bias, std=0.2)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.6, 1.2)
            nn.init.normal_(part.bias, std=0.2)
            part.momentum = None  # the average over all batches
            part.reset_running_stats()
    with torch.no_grad():
        for end in branch_ends(module):
            end.weight *= 0.3
        module.train()
        for _ in range(2):
            module(torch.randn(16, channels, *size))
        module.eval()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 0.1
                part.running_mean += 0.1 * torch.randn_like(part.running_mean)
                part.running_var *= torch.empty_like(part.running_var).uniform_(0.8, 1.25)
                part.running_var.clamp_(min=0.3 * part.running_var.mean().item())
    return module


def torchscript(
    module: nn.Module,
    shape: tuple[int, ...],
    opset: int,
    *,
    free: tuple[int, ...] = (0,),
    names: tuple = ("input", "output"),
    element: torch.dtype = torch.float32,
    **options: object,
) -> onnx.ModelProto:
    """Export with the exporter of 2017 to 2025. `free`: axes of the input that are
    symbolic."""
    axes = {names[0]: {axis: ("batch", "channels", "height", "width")[axis] for axis in free}}
    if 0 in free:
        axes[names[1]] = {0: "batch"}
    written = io.BytesIO()
    torch.onnx.export(
        module,
        torch.randn(shape, dtype=element),
        written,
        opset_version=opset,
        dynamo=False,
        input_names=[names[0]],
        output_names=[names[1]],
        dynamic_axes=axes,
        **options,
    )
    return onnx.load_from_string(written.getvalue())


def dynamo(
    module: nn.Module,
    shape: tuple[int, ...],
    opset: int | None = None,
    *,
    free: tuple[int, ...] = (0,),
    element: torch.dtype = torch.float32,
    **options: object,
) -> onnx.ModelProto:
    """Export with the exporter of PyTorch 2.5 and later, the default since 2.9."""
    dimensions = {
        0: torch.export.Dim("batch"),
        2: torch.export.Dim("height", min=32),
        3: torch.export.Dim("width", min=32),
    }
    dynamic = ({axis: dimensions[axis] for axis in free},) if free else None
    program = torch.onnx.export(
        module,
        (torch.randn(shape, dtype=element),),
        dynamo=True,
        opset_version=opset,
        dynamic_shapes=dynamic,
        verbose=False,
        **options,
    )
    return program.model_proto
