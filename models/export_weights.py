"""Write the PyTorch weights of a manifest's entry as ONNX, with labels and preprocessing
inside. get.py calls it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import onnx
import torch

IMAGENET = Path(__file__).resolve().parent / "imagenet-labels.txt"
# The presets of include/resnet.h that the manifest's PyTorch models need.
PRESETS = {
    "imagenet": "resize={resize} crop={crop}"
    " order=rgb scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225",
    "imagenet-v2": "resize={resize} crop={crop}"
    " order=rgb scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225",
    "keras-tf": "resize={resize} crop={crop} order=rgb scale=255 mean=0.5,0.5,0.5 std=0.5,0.5,0.5",
}
SIDES = {"imagenet": 256, "imagenet-v2": 232, "keras-tf": 256}


def build(library: str, architecture: str) -> torch.nn.Module:
    """Return the network with random weights."""
    module = importlib.import_module(library)
    if library == "timm":
        return module.create_model(architecture, pretrained=False)
    return module.models.get_model(architecture, weights=None)


def load(path: Path) -> dict[str, torch.Tensor]:
    """Load tensors only: no code in the file is run."""
    if path.suffix == ".safetensors":
        return importlib.import_module("safetensors.torch").load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def labels(classes: int) -> list[str] | None:
    """Return the names of ImageNet's classes, if the count fits."""
    names = IMAGENET.read_text(encoding="ascii").splitlines()
    return names if classes == len(names) else None


def metadata(entry: dict) -> dict[str, str]:
    """Return the keys that the C library reads."""
    side = entry["resize"] or SIDES[entry["preprocess"]]
    properties = {
        "resnet.name": entry["name"],
        "resnet.preprocess": PRESETS[entry["preprocess"]].format(
            resize=side, crop=entry["input"][1]
        ),
        "resnet.licence": entry["licence"],
        "resnet.trained_on": entry["what"],
    }
    if names := labels(entry["classes"]):
        properties["resnet.labels"] = "\n".join(names)
    return properties


def export_weights(entry: dict, weights: Path, target: Path) -> None:
    """Write `target` completely, or leave no part of it."""
    how = entry["export"]
    net = build(how["library"], how["architecture"])
    net.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in load(weights).items()
        }
    )
    temporary = target.with_name(target.name + ".tmp")
    try:
        torch.onnx.export(
            net.eval(),
            (torch.zeros(1, *entry["input"]),),
            str(temporary),
            dynamo=False,
            opset_version=how["opset"],
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        )
        model = onnx.load(temporary)
        model.graph.name = entry["name"]
        onnx.helper.set_model_props(model, metadata(entry))
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
