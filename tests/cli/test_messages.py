"""What the program prints of the library's messages: options, no C functions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import BUILD, ROOT, resnet, resnet_json, run

DUMP = BUILD / "tests" / "shell_message_dump"

# A string of C, and several in a row.
STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')

# Only a program in C can cause these.
ONLY_IN_C = re.compile(
    r"is NULL|are NULL|struct_size|set both or none|resnet_session_skip|resnet_session_observe"
    r"|`count` is 0|`batch` is 0|layout %d|keep_weights|RESNET_ORDER|RESNET_PIXELS|RESNET_FIT"
    r"|RESNET_FILTER|RESNET_SIZE|resnet_plan_|unknown resnet_status|k is %u|resnet_model_options"
    r"|resnet_session_options|options\.(?:conv|memory|observe|%s) is"
)
C_NAMES = re.compile(
    r"\bresnet_[a-z_]+|\bRESNET_|\boptions\.|\bmax_[a-z]+_bytes|\bwith external_data"
)


def library_messages() -> list[str]:
    """Return the strings of the library's sources that are sentences."""
    found = set()
    for folder in ("loader", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            source = re.sub(r"/\*.*?\*/|^\s*#.*?$", "", path.read_text(), flags=re.S | re.M)
            for match in STRINGS.finditer(source):
                text = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0]))
                if " " in text:
                    found.add(text)
    return sorted(found)


def test_messages_name_options():
    messages = [text for text in library_messages() if not ONLY_IN_C.search(text)]
    assert len(messages) > 200
    said = run(DUMP, input="\n".join(messages).encode()).stdout.decode().splitlines()
    assert len(said) == len(messages)
    assert not [text for text in said if C_NAMES.search(text)]


def test_every_replaced_sentence_is_one_of_the_librarys():
    source = (ROOT / "bindings/cli/shell_message.c").read_text()
    first = re.compile(r'\{((?:"(?:[^"\\\n]|\\.)*"\s*)+),')
    texts = ["".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', row)) for row in first.findall(source)]
    sentences = [text for text in texts if " " in text.strip()]
    messages = library_messages()
    assert len(sentences) >= 4
    assert [text for text in sentences if not any(text in said for said in messages)] == []


@pytest.fixture
def beside(tmp_path) -> Path:
    """Return a model whose weights are in another file."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "beside.onnx"
    model = onnx.load(ROOT / "models/cifar10-resnet20.onnx")
    onnx.save(model, path, save_as_external_data=True, location="beside.data", size_threshold=0)
    return path


def test_external_data_names_both_ways_out(beside):
    result = resnet("inspect", beside)
    first = result.stderr.decode().splitlines()[0]
    assert result.returncode == 1
    assert "--external-data" in first and "onnx.save(onnx.load(" in first
    checked = resnet_json("inspect", "--check", beside, code=1)["findings"][0]["message"]
    assert "--external-data" in checked and "onnx.save(" in checked


def test_memory_limit_is_an_option(middling):
    assert resnet("inspect", "--max-memory", "1", "--max-file", "1", middling).returncode == 0
