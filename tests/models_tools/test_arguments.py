"""The tools of models/: a wrong value of an option is named in one line, with what is
accepted, and the exit status is 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"


def run(tool: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, MODELS / tool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def refuse(tool: str, *arguments: object) -> str:
    """Return the message of a wrong value, without usage lines."""
    done = run(tool, *arguments)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and done.stdout == ""
    lines = done.stderr.splitlines()
    (message,) = [line for line in lines if line.startswith(f"{Path(tool).name}: error: ")]
    assert message == lines[-1]
    return message


@pytest.fixture
def images(tmp_path) -> Path:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    return tmp_path / "images"


@pytest.mark.parametrize(
    "option, value, said",
    [
        ("--depth", "9", "9 is not 6n+2; the next depths are 8 and 14"),
        ("--depth", "19", "19 is not 6n+2; the next depths are 14 and 20"),
        ("--depth", "2", "'2' is refused; whole numbers from 8 on are accepted"),
        ("--depth", "-4", "'-4' is refused; whole numbers from 8 on are accepted"),
        ("--depth", "deep", "'deep' is refused; whole numbers from 8 on are accepted"),
        ("--epochs", "0", "'0' is refused; whole numbers from 1 on are accepted"),
        ("--batch", "1", "'1' is refused; whole numbers from 2 on are accepted"),
        ("--size", "3", "'3' is refused; whole numbers from 4 on are accepted"),
        ("--half-size-epochs", "-1", "'-1' is refused; whole numbers from 0 on are accepted"),
        ("--half-size-epochs", "48", "the last epochs must have the full size"),
        ("--warm-up", "0", "'0' is refused; numbers between 0 and 1 are accepted"),
        ("--warm-up", "1", "'1' is refused; numbers between 0 and 1 are accepted"),
        ("--warm-up", "nan", "'nan' is refused; numbers between 0 and 1 are accepted"),
        ("--lr", "-0.1", "'-0.1' is refused; numbers from 0 to 1000 are accepted"),
        ("--momentum", "inf", "'inf' is refused; numbers from 0 to 1 are accepted"),
        ("--weight-decay", "x", "'x' is refused; numbers from 0 to 1 are accepted"),
        ("--seed", "-1", "'-1' is refused; whole numbers from 0 on are accepted"),
        ("--threads", "-1", "'-1' is refused; whole numbers from 0 on are accepted"),
        ("--kind", "dense", "invalid choice: 'dense'"),
        ("--schedule", "cosine", "invalid choice: 'cosine'"),
    ],
)
def test_train_names_the_option_and_what_it_takes(images, tmp_path, option, value, said):
    wanted = ["--train", images, "--test", images, "--out", tmp_path / "out", f"{option}={value}"]
    message = refuse("train.py", *wanted)
    assert said in message and option in message
    assert not (tmp_path / "out").exists()


def test_train_names_images_and_folders(images, tmp_path):
    absent, file = tmp_path / "absent", tmp_path / "file"
    file.write_text("no zip")
    for train, out, said in (
        (absent, "out", f"{absent} does not exist; name a folder or .zip of <class>/<image>"),
        (file, "out", f"{file} is neither a folder nor a zip"),
        (images, file, f"{file} exists and is no folder"),
    ):
        assert said in refuse("train.py", "--train", train, "--test", images, "--out", out)


@pytest.mark.parametrize(
    "tool, arguments, said",
    [
        ("describe.py", ["--compare", "ABSENT"], "ABSENT does not exist; name a file"),
        ("describe.py", ["--models", "ABSENT"], "ABSENT does not exist; name a folder"),
        ("plot_training.py", ["--logs", "ABSENT"], "ABSENT does not exist; name a folder"),
        ("get.py", ["--max-bytes", "0", "x"], "'0' is refused; whole numbers from 1"),
        ("get.py", ["--max-bytes", "1M", "x"], "'1M' is refused; whole numbers from 1"),
    ],
)
def test_tools_name_what_is_wrong(tmp_path, tool, arguments, said):
    absent = tmp_path / "absent"
    given = [absent if part == "ABSENT" else part for part in arguments]
    assert said.replace("ABSENT", str(absent)) in refuse(tool, *given)


def test_accuracy_and_samples_name_what_is_wrong(images, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("PIL", reason="Pillow is not installed")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    absent = tmp_path / "absent"
    for model, test, said in (
        (absent, images, f"{absent} does not exist; name a file"),
        (broken, images, f"{broken} cannot be opened"),
        (broken, absent, f"{absent} does not exist"),
    ):
        assert said in refuse("accuracy.py", model, "--test", test)
    assert f"{absent} does not exist" in refuse("samples/render.py", "--check", absent)


def test_export_names_what_is_wrong(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    broken, absent = tmp_path / "broken.pt", tmp_path / "absent"
    broken.write_bytes(b"no checkpoint")
    for checkpoint, output, said in (
        (absent, tmp_path / "a.onnx", f"{absent} does not exist; name a file"),
        (broken, tmp_path / "a.onnx", f"{broken} is no checkpoint of train.py"),
        (broken, absent / "a.onnx", f"the folder {absent} does not exist; make it first"),
    ):
        assert said in refuse("export.py", checkpoint, "-o", output)


def test_missing_pytorch_is_named(images, tmp_path):
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        done = run("train.py", "--train", images, "--test", images, "--out", tmp_path / "out")
        assert done.returncode == 1
        assert done.stderr.endswith("is missing: pip install -r models/requirements.txt\n")
        return
    pytest.skip("PyTorch is installed")
