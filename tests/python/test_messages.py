"""The library's messages name arguments and methods of the package, not C's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import RESNET20, ROOT

import libresnet
from libresnet._messages import _TEXTS, python_message

# A string of C, and several in a row.
STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
# The package never passes these.
NEVER_SAID = re.compile(
    r"is NULL|struct_size|set both or none|RESNET_|resnet_status|layout %d|mode %d|allocator"
    r"|use 0 \(no\) or 1"
)
C_NAMES = re.compile(r"\bresnet_[a-z_]+|\boptions\.|program: |(?<!tf2onnx )--[a-z]|= 1 in")


def library_messages() -> set[str]:
    """Return the strings of the library's sources that are sentences."""
    found = set()
    for folder in ("loader", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            source = re.sub(r"/\*.*?\*/|^\s*#.*?$", "", path.read_text(), flags=re.S | re.M)
            for match in STRINGS.finditer(source):
                text = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0]))
                if " " in text:
                    found.add(text)
    return found


def test_no_message_names_c() -> None:
    messages = [text for text in library_messages() if not NEVER_SAID.search(text)]
    assert len(messages) > 200
    assert [said for text in messages if C_NAMES.search(said := python_message(text))] == []


def test_every_text_is_one_of_the_librarys() -> None:
    messages = library_messages()
    assert [text for text in _TEXTS if not any(text in said for said in messages)] == []


def test_names_of_users_are_not_changed() -> None:
    for text in ("node 'fc' (Gemm, opset 13): 3 inputs", "x.onnx: is not a model", ""):
        assert python_message(text) == text


def test_external_data_names_both_ways_out(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model, path = onnx.load(RESNET20), tmp_path / "beside.onnx"
    onnx.save(model, path, save_as_external_data=True, location="data", size_threshold=0)
    with pytest.raises(libresnet.Error, match="external_data=True.*onnx.save"):
        libresnet.Model(path)
