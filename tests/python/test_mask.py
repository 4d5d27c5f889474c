"""Names from files and folders do not send commands to a terminal or a notebook."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from tiny import tiny

import libresnet
from libresnet import Model
from libresnet._mask import _RANGES

HOSTILE = "\x1b[31m\x07\x9b2J\u202e\u2028\u200bend"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\udc00-\udfff]")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = tiny(tmp_path_factory.mktemp("mask") / "tiny.onnx")
    model = onnx.load(path)
    model.graph.name = model.producer_name = f"graph{HOSTILE}"
    for node in model.graph.node:
        node.name += HOSTILE
    onnx.save(model, path)
    return path


def test_the_ranges_are_those_of_the_program() -> None:
    source = (ROOT / "bindings" / "support" / "utf8.c").read_text()
    pairs = re.findall(r"\{(0x[0-9a-f]+), (0x[0-9a-f]+)\}", source)
    program = {(int(first, 16), int(last, 16)) for first, last in pairs}
    assert len(program) > 15 and set(_RANGES) == program | {(0xD800, 0xDFFF)}


def test_what_is_printed_of_a_model_is_masked(hostile: Path) -> None:
    with Model(hostile, preprocess="unit") as model:
        assert model.plan[1].name.endswith(HOSTILE)
        shown = [str(model.plan), repr(model.plan), model.plan._repr_html_(), repr(model)]
        shown += [model._repr_html_(), repr(model.plan[1]), repr(model.info)]
        assert "conv?[31m??2J???end" in str(model.plan)
        responses = model.observe(np.zeros((8, 8, 3), np.uint8))
        shown += [str(responses), responses._repr_html_()]
    assert not [text for text in shown if UNSAFE.search(text)]


def test_what_is_printed_of_errors_is_masked(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE
    with Model(tiny(tmp_path / "tiny.onnx"), preprocess="unit") as model:
        with pytest.raises(libresnet.ImageNotFoundError) as raised:
            model.classify(path)
        assert raised.value.path == str(path)
        assert not UNSAFE.search(str(raised.value)) and "?[31m" in str(raised.value)
    with pytest.raises(libresnet.ModelNotFoundError) as missing:
        Model(path)
    assert not UNSAFE.search(str(missing.value))


def test_warnings_are_masked() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        libresnet._errors.warn(f"skipped: {HOSTILE}")
    assert str(caught[0].message) == "skipped: ?[31m??2J???end"
