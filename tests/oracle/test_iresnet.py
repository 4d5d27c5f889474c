"""The embedding of InsightFace's iResNet: a narrow file of tests/models, and a full
iResNet-50 that is made here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import ROOT, SHORTCUTS, dump, images, measured, onnx

sys.path.insert(0, str(ROOT / "tests" / "models" / "make"))
import iresnet_nets  # noqa: E402
from common import residual_stages  # noqa: E402

TOLERANCE = 1e-5  # relative to the embedding's largest number


def check_embedding(
    path: Path, model: onnx.ModelProto, layers: tuple[int, ...], folder: Path
) -> float:
    x = images((3, 3, *iresnet_nets.SIZE), seed=3)
    found = dump(path, x, batch=2, scores_only=True, folder=folder)
    kinds = [SHORTCUTS[kind] for kind in residual_stages(layers)]
    assert [kind for _, kind, _ in found.blocks] == kinds
    assert found.depth == 2 * sum(layers) + 2
    expected = oracle.reference(model, x, [model.graph.output[0].name])[0]
    assert found.scores.shape == expected.shape == (3, iresnet_nets.EMBEDDING)
    return float(np.abs(found.scores - expected).max() / np.abs(expected).max())


def test_narrow_iresnet(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = ROOT / "tests" / "models" / "insightface" / "iresnet18_opset13.onnx"
    error = check_embedding(path, onnx.load(path), iresnet_nets.LAYERS_18, tmp_path)
    measured(capsys, f"iresnet | narrow iresnet18 | error {error:.1e} of the largest number")
    assert error <= TOLERANCE


def test_full_iresnet(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    layers = iresnet_nets.LAYERS_50
    model = iresnet_nets.network(layers, iresnet_nets.FULL, seed=50)
    path = tmp_path / "iresnet50.onnx"
    onnx.save(model, path)
    error = check_embedding(path, model, layers, tmp_path)
    path.unlink()
    measured(capsys, f"iresnet | full iresnet50 | error {error:.1e} of the largest number")
    assert error <= TOLERANCE
