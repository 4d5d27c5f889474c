"""What the tests of the Python package share: it is imported from the checkout, with the
library of LIBRESNET_BUILD."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD") or ROOT / "build" / "release").resolve()
PACKAGE = ROOT / "bindings" / "python"
DATA = Path(os.environ.get("LIBRESNET_TEST_DATA") or ROOT.parent / "shared")
SAMPLES = ROOT / "models" / "samples"
RESNET20 = ROOT / "models" / "cifar10-resnet20.onnx"

os.environ["LIBRESNET_LIBRARY"] = str(BUILD)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# Shells let what they start in the background ignore Ctrl-C, which some tests send to
# themselves or to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [str(PACKAGE), str(ROOT / "tests"), str(Path(__file__).parent)]


def shared(*parts: str) -> Path:
    """A file of the test data that the repository does not hold."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there: LIBRESNET_TEST_DATA names the folder of test data")
    return path


def resnet_json(*arguments: object) -> dict:
    """What `resnet ... --json` prints."""
    command = [str(BUILD / "resnet"), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def python(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """A Python of its own, with the package."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.fixture(scope="session")
def samples() -> list:
    """The sample images that ship."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))


@pytest.fixture
def model():
    import libresnet

    with libresnet.Model(RESNET20) as opened:
        yield opened


@pytest.fixture
def session(model):
    with model.session(threads=1) as opened:
        yield opened


def made_net(path: Path, kind: str = "resnet8", **options: object) -> Path:
    """A net of tests/nets.py with random weights, at `path`. `change` may spoil it
    first."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    import nets

    change = options.pop("change", None)
    graph, _ = nets.generate(kind, nets.Options(**options))
    if change:
        change(graph)
    onnx.save(graph, path)
    return path


@pytest.fixture(scope="session")
def small_net(tmp_path_factory) -> Path:
    """ResNet-8 for images of 32 x 32: some 0.05 ms."""
    return made_net(
        tmp_path_factory.mktemp("nets") / "small.onnx", seed=1, classes=10, shortcut="B"
    )


SANITIZED = "san" in os.environ.get("LD_PRELOAD", "")

unsanitized = pytest.mark.skipif(SANITIZED, reason="a sanitizer takes time and memory of its own")


def measured(capsys: pytest.CaptureFixture, text: str) -> None:
    """A line for the log of a run whose tests pass; tests/run.py shows it."""
    with capsys.disabled():
        print(f"\nmeasured: {text}")
