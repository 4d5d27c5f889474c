"""What files and file names may send to a terminal: text, and no commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
np = pytest.importorskip("numpy", reason="NumPy is not installed")
from conftest import ROOT, resnet  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

SAMPLE = ROOT / "models" / "samples"

# An escape sequence, C1 controls, direction marks, separators, characters without width.
HOSTILE = (
    "\x1b[31m\x9b5m\x9d0;t\x9c\u202e\u2066\u200f\u061c\u2028\u2029\u200b\ufeff\u00ad\U000e0041"
)
UNSAFE = set(HOSTILE) - set("[31m5m0;t") | {"\x7f", "\x07"}


def hostile_model(path: Path, activation: str = "Relu") -> Path:
    """Write a model of two classes whose every name is hostile."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(2, 3)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)
    names = {name: name + HOSTILE for name in ("x", "c", "r", "g", "f", "w", "k", "y", "node")}
    nodes = [
        helper.make_node(
            "Conv", [names["x"], names["k"]], [names["c"]], names["node"] + "1", pads=[1] * 4
        ),
        helper.make_node(activation, [names["c"]], [names["r"]], names["node"] + "2"),
        helper.make_node("GlobalAveragePool", [names["r"]], [names["g"]], names["node"] + "3"),
        helper.make_node("Flatten", [names["g"]], [names["f"]], names["node"] + "4"),
        helper.make_node(
            "Gemm", [names["f"], names["w"]], [names["y"]], names["node"] + "5", transB=1
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "graph" + HOSTILE,
        [helper.make_tensor_value_info(names["x"], 1, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info(names["y"], 1, ["N", 2])],
        [numpy_helper.from_array(weights, names["w"]), numpy_helper.from_array(kernel, names["k"])],
    )
    model = helper.make_model(
        graph, producer_name="maker" + HOSTILE, opset_imports=[helper.make_opsetid("", 13)]
    )
    entry = model.metadata_props.add()
    entry.key, entry.value = "resnet.labels", "cat" + HOSTILE + "\ndog" + HOSTILE
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def check_printable(text: bytes) -> None:
    """Check that a terminal would show all of it."""
    found = UNSAFE & set(text.decode("utf-8", "strict"))
    assert not found, (found, text)


def hostile_path(folder: Path) -> bytes:
    """Return a path with raw bytes: C1 controls in ISO 8859-1."""
    return os.fsencode(folder) + b"/raw\x9b31m" + HOSTILE.encode()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return a folder of two hostile classes."""
    root = tmp_path_factory.mktemp("data")
    sample = sorted(SAMPLE.glob("*.png"))[0].read_bytes()
    for name in ("cat", "dog"):
        folder = root / (name + HOSTILE)
        folder.mkdir()
        (folder / ("one" + HOSTILE + ".png")).write_bytes(sample)
        (folder / ("bad" + HOSTILE + ".png")).write_bytes(b"no image")
    return root


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "-m", "MODEL"],
        ["inspect", "-m", "MODEL", "--check"],
        ["inspect", "-m", "REFUSED"],
        ["inspect", "-m", "REFUSED", "--check"],
        ["inspect", "-m", "MISSING"],
        ["inspect", "-m", "MODEL", "--scores", HOSTILE],
        ["classify", "-m", "MODEL", "IMAGE"],
        ["classify", "-m", "MODEL", "MISSING"],
        ["classify", "-m", "MODEL", "IMAGE", "--cam", "OUT"],
        ["classify", "-m", "MODEL", "IMAGE", "--cam", "x.png", "--cam-class", HOSTILE],
        ["classify", "--" + HOSTILE],
        ["classify", "-\udc9b"],
        ["classify", "-k", HOSTILE],
        ["bench", "-m", "MODEL", "--runs", "1", "--per-op"],
        ["bench", "-m", "MODEL", HOSTILE],
        ["eval", "-m", "MODEL", "-d", "DATA"],
        ["eval", "-m", "MODEL", "-d", "MISSING"],
        ["compile", "-m", "MODEL", "-o", "OUT"],
        ["compare", "MODEL", "MODEL", "-d", "DATA", "--lesions", "1"],
        [HOSTILE],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_names_cannot_command_a_terminal(tmp_path, data, arguments, as_json):
    raw = hostile_path(tmp_path)
    model = hostile_model(tmp_path / ("model" + HOSTILE))
    words = {
        "MODEL": model,
        "REFUSED": hostile_model(tmp_path / ("refused" + HOSTILE), "Elu"),
        "IMAGE": raw,
        "MISSING": raw + b"missing",
        "OUT": raw + b"out",
        "DATA": data,
    }
    Path(os.fsdecode(raw)).write_bytes(sorted(SAMPLE.glob("*.png"))[0].read_bytes())
    given = [words.get(word, os.fsencode(word)) for word in arguments]
    result = resnet(*given, *(["--json"] if as_json else []))
    check_printable(result.stdout)
    check_printable(result.stderr)
    assert result.stdout or result.stderr


def test_json_keeps_every_character(tmp_path):
    model = hostile_model(tmp_path / "model.onnx")
    document = json.loads(resnet("inspect", "--json", "-m", model).stdout)
    assert document["labels"] == ["cat" + HOSTILE, "dog" + HOSTILE]
    assert document["producer"] == "maker" + HOSTILE


def test_page_and_tables_hold_no_hostile_character(tmp_path, data):
    model = hostile_model(tmp_path / ("model" + HOSTILE))
    arguments = ["--lesions", "1", "--report", tmp_path / "page.html", "--tables", tmp_path / "t"]
    result = resnet("compare", model, "-d", data, *arguments)
    assert (tmp_path / "page.html").exists(), result.stderr
    files = [tmp_path / "page.html", *(tmp_path / "t").iterdir()]
    assert len(files) > 3
    for file in files:
        check_printable(file.read_bytes())


def test_other_languages_stay_readable(tmp_path):
    name = "cafe\u0301 \u732b \u05d7\u05ea\u05d5\u05dc \U0001f431\u2764\ufe0f.png"
    result = resnet("classify", tmp_path / name)
    assert name in result.stderr.decode()
