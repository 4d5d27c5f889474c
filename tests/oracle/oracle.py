"""Run the library (through the program `dump`) and onnxruntime on the same model, and
compare what they compute."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
DATA = Path(os.environ.get("LIBRESNET_TEST_DATA", ROOT.parent / "shared"))
DUMP = BUILD / "tests" / "dump"
TOLERANCE = 1e-4  # of the largest value of the reference
XNNPACK = ("--conv", 3)  # RESNET_CONV_XNNPACK, as an option of `dump`
# enum resnet_shortcut
SHORTCUTS = {"none": 0, "identity": 1, "projection": 2, "option_a": 3, "pool": 4}
SCORES_RECORD = 2**32 - 1

sys.path.insert(0, str(ROOT / "tests"))
onnx = pytest.importorskip("onnx", reason="the oracle needs onnx: tools/deps installs it")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="the oracle needs onnxruntime: tools/deps installs it"
)


@dataclass
class Dump:
    """What the library computed: `tensors` are (n,h,w,c), `blocks` are (name, shortcut,
    tensor), `findings` are (severity, message)."""

    scores: np.ndarray
    tensors: dict[str, np.ndarray]
    blocks: list[tuple[str, int, str]]
    depth: int
    findings: list[tuple[int, str]]


def need_dump() -> None:
    if not DUMP.exists():
        pytest.skip(f"{DUMP} is not built: build the library, or set LIBRESNET_BUILD")


def measured(capsys: pytest.CaptureFixture, text: str) -> None:
    """Print a line for the log of a run whose tests pass; tests/run.py shows it."""
    with capsys.disabled():
        print(f"\nmeasured: {text}")


def need_file(path: Path) -> Path:
    if not path.exists():
        pytest.skip(
            f"{path} is not there: set LIBRESNET_TEST_DATA to the folder with models/ and data/"
        )
    return path


def images(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def run_dump(
    model: Path, x: np.ndarray, folder: Path, options: list[object]
) -> tuple[subprocess.CompletedProcess, Path]:
    """Run the library on images x (n,c,h,w). Return the process that ended, and the file
    that it wrote into `folder`."""
    need_dump()
    given, written = folder / f"{model.stem}.in", folder / f"{model.stem}.out"
    x.astype(np.float32).tofile(given)
    command = [str(word) for word in (DUMP, model, given, written, *options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    given.unlink()
    return done, written


def dump(
    model: Path,
    x: np.ndarray,
    threads: int = 1,
    batch: int = 1,
    scores_only: bool = False,
    folder: Path | None = None,
    options: tuple = (),
) -> Dump:
    """Run the library on images x (n,c,h,w). Files go through `folder`, by default the
    model's."""
    words = ["--threads", threads, "--batch", batch, *["--scores"] * scores_only, *options]
    done, written = run_dump(model, x, folder or model.parent, words)
    assert done.returncode == 0, f"{model.name}: {done.stderr.strip() or done.returncode}"
    scores, tensors = read_records(written)
    written.unlink()
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    blocks = [rest.split() for kind, rest in lines if kind == "block"]
    findings = [rest.split(maxsplit=1) for kind, rest in lines if kind == "finding"]
    depth = next(int(rest.split()[-1]) for kind, rest in lines if kind == "net")
    return Dump(
        scores,
        tensors,
        [(name, int(kind), tensor) for name, kind, tensor in blocks],
        depth,
        [(int(severity), message) for severity, message in findings],
    )


def read_records(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the scores, and every tensor with the batches of a run joined."""
    data, at = np.fromfile(path, np.uint8), 0
    parts: dict[str, list[np.ndarray]] = {}
    scores = None
    while at < data.size:
        op, n, h, w, c, length = (int(value) for value in data[at : at + 24].view(np.uint32))
        name = data[at + 24 : at + 24 + length].tobytes().decode()
        at += 24 + length
        values = np.frombuffer(data[at : at + 4 * n * h * w * c].tobytes(), np.float32).reshape(
            n, h, w, c
        )
        at += values.nbytes
        if op == SCORES_RECORD:
            scores = values.reshape(n, c)
        elif name:  # values that are no tensor of the file have no name
            parts.setdefault(name, []).append(values)
    assert scores is not None, "the dump has no scores"
    return scores, {name: np.concatenate(values) for name, values in parts.items()}


def reference(model: onnx.ModelProto, x: np.ndarray, tensors: list[str]) -> list[np.ndarray]:
    """Return onnxruntime's values of `tensors`, made outputs of a copy of the model."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(tensor) for tensor in tensors)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(tensors, {model.graph.input[0].name: x})


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the max norm of the difference over that of the reference; infinite when
    either holds NaN or infinity."""
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    scale = np.abs(expected).max()
    worst = np.abs(found - expected).max()
    return float(worst if scale == 0 else worst / scale)


def as_nhwc(value: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return an ONNX tensor (n,c,h,w) or (n,c) in the library's layout."""
    if value.ndim == 4:
        value = value.transpose(0, 2, 3, 1)
    assert value.size == like.size, f"{value.shape} against {like.shape}"
    return value.reshape(like.shape)


def expected_tensors(model: onnx.ModelProto, found: Dump, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return onnxruntime's values of everything that the library computed; the scores as
    "scores"."""
    output = model.graph.output[0].name
    names = list(dict.fromkeys([output, *found.tensors]))
    expected = dict(zip(names, reference(model, x, names)))
    return {**expected, "scores": expected[output]}


def check(found: Dump, expected: dict[str, np.ndarray], must_see: list[str]) -> float:
    """Check the scores and every tensor that the library computed. Return the largest
    relative error."""
    missing = [tensor for tensor in must_see if tensor not in found.tensors]
    assert not missing, f"not observed: {missing}"
    values = {**found.tensors, "scores": found.scores}
    errors = {
        name: relative_error(value, as_nhwc(expected[name], value))
        for name, value in values.items()
    }
    wrong = {name: error for name, error in errors.items() if not error <= TOLERANCE}
    assert not wrong, f"first of {len(wrong)} tensors that differ: {next(iter(wrong.items()))}"
    return max(errors.values())


def compare(model: onnx.ModelProto, found: Dump, x: np.ndarray, must_see: list[str]) -> float:
    """Call `check` with onnxruntime's values on the same images."""
    return check(found, expected_tensors(model, found, x), must_see)
