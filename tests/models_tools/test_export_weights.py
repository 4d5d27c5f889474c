"""models/export_weights.py: PyTorch weights become ONNX with preprocessing inside. Needs
torch and torchvision."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: models/requirements.txt")
torchvision = pytest.importorskip("torchvision", reason="exporting needs torchvision")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx: models/requirements.txt")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="comparing needs onnxruntime: models/requirements.txt"
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))

from export_weights import export_weights  # noqa: E402

ENTRY = {
    "name": "net",
    "what": "a net",
    "licence": "MIT",
    "input": [3, 224, 224],
    "preprocess": "imagenet-v2",
    "resize": None,
    "classes": 1000,
    "export": {"library": "torchvision", "architecture": "resnet18", "opset": 17},
}


def test_exported_weights_compute_what_pytorch_does_and_say_how_images_go_in(
    tmp_path: Path,
) -> None:
    net = torchvision.models.resnet18(weights=None).eval()
    torch.save(net.half().state_dict(), tmp_path / "net.pth")
    export_weights(ENTRY, tmp_path / "net.pth", tmp_path / "net.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.pth"]
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(
        tmp_path / "net.onnx", providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"input": images.numpy()})
    with torch.inference_mode():
        expected = net.float()(images).numpy()
    assert abs(found - expected).max() < 1e-4 * abs(expected).max()
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["resnet.preprocess"].startswith(
        "resize=232 crop=224 order=rgb scale=255 mean=0.485,"
    )
    assert properties["resnet.labels"].split("\n")[0] == "tench"


def test_weights_of_another_net_leave_nothing(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(RuntimeError, match="Missing key"):
        export_weights(ENTRY, tmp_path / "net.pth", tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
