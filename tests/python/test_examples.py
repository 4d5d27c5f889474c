"""The examples, and the README's Python, do what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PACKAGE, RESNET20, ROOT, SAMPLES, shared

pytestmark = pytest.mark.slow

EXAMPLES = PACKAGE / "examples"


def run(folder, *command, timeout=300) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_all_are_run_here():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"label_a_folder.py", "many_machines.py", "plain_and_residual.py"}


def test_label_a_folder(tmp_path):
    printed = run(tmp_path, EXAMPLES / "label_a_folder.py")
    assert re.search(r"98\.33%  airplane", printed)
    assert "skipped: broken.jpg: truncated" in printed
    assert "automobile-country-road.jpg is automobile" in printed
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    assert rows[0] == "image,label,score" and len(rows) == 11
    assert rows[1].startswith("airplane-climbing.png,airplane,0.98")


def test_plain_and_residual(tmp_path):
    printed = run(tmp_path, EXAMPLES / "plain_and_residual.py")
    assert "stage1.block1: 2 convolutions, shortcut: identity" in printed
    assert len(re.findall(r"^layer +\d+  std \d+\.\d+", printed, re.MULTILINE)) == 5
    assert (
        len(
            re.findall(
                r"^without stage\d\.block\d: the same label for \d+ of 10", printed, re.MULTILINE
            )
        )
        == 9
    )
    assert "resnet20: 20 layers, 90.0% right" in printed
    assert (tmp_path / "compare.html").read_text().startswith("<!DOCTYPE html>")
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "responses.png").read_bytes().startswith(b"\x89PNG")


def test_plain_and_residual_of_an_archive(tmp_path):
    data = shared("data", "cifar10-jpeg-test.zip")
    printed = run(tmp_path, EXAMPLES / "plain_and_residual.py", data, RESNET20)
    assert "88.1% right" in printed


def test_many_machines(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    images = tmp_path / "images"
    shutil.copytree(SAMPLES, images, ignore=shutil.ignore_patterns("*.md", "*.py"))
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    printed = run(tmp_path, EXAMPLES / "many_machines.py", images)
    assert re.search(r"^airplane-climbing\.png airplane 98\.3%", printed, re.MULTILINE)
    assert re.search(r"^broken\.jpg .*JPEG", printed, re.MULTILINE)
    assert len(re.findall(r"\.(?:jpg|png) ", printed)) == 11


def test_readme(tmp_path):
    """Ten lines, from nothing to a label."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks and sum(bool(line.strip()) for line in blocks[0].splitlines()) <= 10
    shutil.copy(SAMPLES / "cat-tabby.jpg", tmp_path / "photo.jpg")
    shutil.copy(RESNET20, tmp_path / "resnet50.onnx")
    for i, block in enumerate(blocks):
        (tmp_path / "lines.py").write_text(block)
        printed = run(tmp_path, "lines.py")
        assert i or "cat" in printed
