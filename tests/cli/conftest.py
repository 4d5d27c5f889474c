"""What the tests of the resnet program share: the program and ways to run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release")).resolve()
SANITIZED = BUILD.name in ("asan", "tsan")  # slow: tests use fewer images
PROGRAM = BUILD / "resnet"
DECODE_DUMP = BUILD / "tests" / "decode_dump"
SHA256_DUMP = BUILD / "tests" / "sha256_dump"


def run(*arguments, timeout: float = 600, **options) -> subprocess.CompletedProcess:
    """Run a program to its end; fail on a crash or a sanitizer report."""
    options = {"capture_output": True, "timeout": timeout} | options
    result = subprocess.run([a if isinstance(a, bytes) else str(a) for a in arguments], **options)
    assert result.returncode in (0, 1, 2), (result.returncode, result.stderr)
    assert not re.search(rb"Sanitizer|runtime error", result.stderr or b""), result.stderr
    return result


def resnet(*arguments, **options) -> subprocess.CompletedProcess:
    """Run the resnet program."""
    return run(PROGRAM, *arguments, **options)


def resnet_json(*arguments, code: int = 0) -> dict:
    """Run the resnet program with --json and return what it printed."""
    result = resnet(*arguments, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def complaint(result: subprocess.CompletedProcess, code: int = 1) -> str:
    """Return the only line on standard error of a run that failed: by default, on its
    input."""
    assert result.returncode == code, (result.returncode, result.stderr)
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("resnet: ")
    return lines[0]


@pytest.fixture(scope="session")
def labels() -> list[str]:
    """Return the labels of the built-in model."""
    result = resnet("inspect", "--json")
    if result.returncode:
        pytest.skip(f"no model is built in: {result.stderr.decode()}")
    return json.loads(result.stdout)["labels"]


@pytest.fixture(scope="session")
def images(tmp_path_factory, labels) -> Path:
    """Return a folder with <class>/<image> for the built-in model's labels: 60 JPEG and
    PNG images of many sizes."""
    np = pytest.importorskip("numpy", reason="NumPy is not installed")
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(60):
        folder = root / labels[number % len(labels)]
        folder.mkdir(exist_ok=True)
        colour = rng.integers(0, 256, (3, 3, 3), np.uint8)
        image = pillow.fromarray(colour).resize((32 + number, 40 + number // 2))
        image.save(folder / f"{number:03}.{'png' if number % 3 else 'jpg'}")
    return root


@pytest.fixture
def image(images) -> Path:
    """Return any image."""
    return sorted(images.glob("*/*"))[0]


@pytest.fixture(scope="session")
def middling(tmp_path_factory) -> Path:
    """Return a model that takes a few milliseconds."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path_factory.mktemp("nets") / "middling.onnx"
    run(
        sys.executable,
        ROOT / "tests/nets.py",
        "resnet18",
        "--size",
        96,
        "--width",
        0.5,
        "--seed",
        1,
        "-o",
        path,
    )
    return path


def pytest_collection_modifyitems(items) -> None:
    """Skip all tests here if the program is missing."""
    if not PROGRAM.exists():
        skip = pytest.mark.skip(reason=f"{PROGRAM} is not there: tools/build makes it")
        for item in items:
            item.add_marker(skip)
