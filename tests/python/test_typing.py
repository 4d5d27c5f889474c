"""Type hints: mypy --strict over the package, and a user's mistakes that it finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, ROOT

pytestmark = pytest.mark.slow

pytest.importorskip("mypy", reason="mypy is not installed")

RIGHT = """
from pathlib import Path
from typing import List, Optional

import numpy as np
import numpy.typing as npt

import libresnet


def label(path: Path) -> Optional[str]:
    with libresnet.Model(path, preprocess="imagenet", input_size=(224, 224)) as model:
        size: int = model.classes + model.input_shape[0]
        shares: npt.NDArray[np.float32] = model.probabilities([path])
        with model.session(threads=1) as session, session.skip(model.blocks[0]):
            out: npt.NDArray[np.float32] = session.run(np.zeros((size, 3, 224, 224), np.float32))
            session.observe(lambda response: print(response.op.name, response.data.shape))
        names: List[str] = [op.name for op in model.plan]
        return (model.labels or names)[int(shares.argmax() + out.argmax())]


def problem(error: libresnet.UnsupportedModelError) -> Optional[str]:
    return error.node or error.attribute or error.status.name


def first(best: libresnet.Prediction) -> float:
    return best.index + best.score


def several(model: libresnet.Model) -> List[str]:
    one: List[libresnet.Prediction] = model.classify("cat.jpg", k=2, threads=1)
    with model.session() as session:
        one += session.classify(Path("cat.jpg"))
        pixels = np.zeros((2, 2, 3), np.uint8)
        both: List[List[libresnet.Prediction]] = session.classify(["cat.jpg", b"", pixels])
    skipped = model.classify(["cat.jpg"], errors="skip")[0]
    if isinstance(skipped, libresnet.Error):
        return [skipped.message]
    one += skipped
    x: npt.NDArray[np.float32] = model.prepare(["cat.jpg", pixels])
    rows = model.embed(pixels, "pool", l2=True) + model.run(x)
    named = libresnet.Model("net.onnx", labels={0: "cat", 1: "dog"}, output=str(rows.shape))
    kinds: List[str] = [named.scores, named.labels_source or "none"]
    named.classify("cat.jpg", raw=bool(kinds))
    libresnet.Preprocess(fit="stretch", resize=(8, 16), crop="auto", mean=(0.5, 0.5, 0.5))
    libresnet.read_image("deep.png", depth16=(0, 4095))
    array = model.classify(pixels)
    return [str(best.label) for best in one + both[0] + array]
"""

WRONG = {
    'libresnet.Model("net.onnx", colour="red")': "call-arg",
    'libresnet.Model("net.onnx", batch="8")': "arg-type",
    'libresnet.Model("net.onnx").labels[0]': "index",
    'libresnet.Model("net.onnx").session(threads="all")': "arg-type",
    'libresnet.Model("net.onnx").session().run("cat.jpg")': "arg-type",
    'libresnet.Model("net.onnx").session().observe(3)': "arg-type",
    'libresnet.Model("net.onnx").session().skip(1.5)': "arg-type",
    'libresnet.Model("net.onnx").plan[0].colour': "attr-defined",
    'libresnet.Model("net.onnx").plan[0].macs = 3': "misc",
    'libresnet.Model("net.onnx").score': "attr-defined",
    "libresnet.read_image(3)": "arg-type",
    'libresnet.Preprocess(resize="256")': "arg-type",
    "libresnet.nothing": "attr-defined",
    'libresnet.Model().classify("cat.jpg")[0][0].score': "attr-defined",
    'libresnet.Model().classify(["cat.jpg"])[0].score': "attr-defined",
    'libresnet.Model().classify(["cat.jpg"], errors="skip")[0][0]': "index",
}


def mypy(*arguments: object) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        PACKAGE / "mypy.ini",
        *arguments,
    ]
    cache = ["--cache-dir", os.devnull]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE)}
    return subprocess.run(
        list(map(str, command + cache)), capture_output=True, text=True, env=environment
    )


def test_hints(tmp_path: Path) -> None:
    """One run for all of it: mypy takes seconds to read NumPy."""
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(RIGHT)
    readme = tmp_path / "readme.py"
    readme.write_text(
        re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    )
    wrong.write_text("import libresnet\n" + "".join(f"{line}\n" for line in WRONG))
    done = mypy(PACKAGE / "libresnet", right, wrong, readme, *(PACKAGE / "examples").glob("*.py"))
    problems = re.findall(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert [problem for problem in problems if Path(problem[0]).name != "wrong.py"] == [], (
        done.stdout
    )
    by_line = {int(line): code for _, line, code in problems}
    assert by_line == {number: code for number, code in enumerate(WRONG.values(), start=2)}, (
        done.stdout
    )
    assert done.returncode == 1


def test_hints_are_marked() -> None:
    assert (PACKAGE / "libresnet" / "py.typed").is_file()
