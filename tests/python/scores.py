"""Inputs and reference scores for the tests of sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLES

TOLERANCE = 1e-4  # of the largest value of the reference, as in tests/oracle
CAT = SAMPLES / "cat-tabby.jpg"


def images(n: int, h: int = 32, w: int = 32, seed: int = 0) -> np.ndarray:
    """Return random normalised images, (n,3,h,w)."""
    return np.random.default_rng(seed).standard_normal((n, 3, h, w), np.float32)


def reference(path: Path, x: np.ndarray) -> np.ndarray:
    """Return the scores of onnxruntime, (n,classes)."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    opened = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return opened.run(None, {opened.get_inputs()[0].name: x})[0]


def close_to(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max())


def shortest(value: float) -> float:
    """Return the shortest decimal that is the same float32, as scores of classify are."""
    return float(str(np.float32(value)))
