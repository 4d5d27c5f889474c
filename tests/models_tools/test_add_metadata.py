"""models/add_metadata.py: what it writes is what the program reads, and nothing else of
the file changes."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "models" / "add_metadata.py"
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
SHIPPED = ROOT / "models" / "cifar10-resnet20.onnx"
EXTERNAL = ROOT / "tests" / "models" / "torchvision" / "resnet18_dynamo_opset18_external.onnx"
PRESETS = re.findall(
    r' \* {3}- "([a-z0-9-]+)":',
    re.search(
        r"Fill `out` with a preset\b(.*?)\bFail",
        (ROOT / "include" / "resnet.h").read_text(),
        re.DOTALL,
    )[1],
)
TEN = "abcdefghij"
VALUES = ("--scale", "255", "--mean", "0.5,0.25,0.125", "--std", "1,2,1e-1")

needs_program = pytest.mark.skipif(
    not (BUILD / "resnet").exists(), reason=f"{BUILD / 'resnet'} is not there: tools/build makes it"
)


def add(*words: object, code: int = 0) -> str:
    """Run the tool; return what it printed."""
    command = [sys.executable, "-I", "-S", TOOL, *words]  # without installed packages
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def classify(model: Path, *options: str) -> dict:
    photo = ROOT / "models" / "samples" / "cat-tabby.jpg"
    command = [BUILD / "resnet", "classify", "--json", "-k", "2", "-m", model, *options, photo]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def make_model(
    folder: Path, classes: int = 4, channels: int = 3, height: int = 8, width: int = 8
) -> Path:
    """Write a model of a global pool and a linear layer."""
    generator = np.random.default_rng(7)
    weights = generator.standard_normal((classes, channels)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, height, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.zeros(classes, np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    path = folder / "made.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def properties(path: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(path, load_external_data=False).metadata_props}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path)


def labels_file(folder: Path, text: str, name: str = "labels.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_tool_knows_every_preset() -> None:
    assert len(PRESETS) >= 6
    listed = re.search(r"--preprocess NAME\s+one of ([^-]*(?:-[^-]+)*?)\n *--fit", add("--help"))[1]
    assert re.findall(r"[a-z0-9-]+", listed) == PRESETS


def preprocessing(model: Path, *options: str) -> dict:
    """Return what the program does with images, but not where it comes from."""
    command = [BUILD / "resnet", "inspect", "--json", model, *options]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {
        key: value
        for key, value in found["preprocess"].items()
        if key not in ("source", "certainty", "evidence")
    }


@needs_program
@pytest.mark.parametrize(("height", "width"), [(28, 28), (48, 24)])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_in_the_file_does_what_the_option_does(
    preset: str, height: int, width: int, tmp_path: Path
) -> None:
    plain, named = make_model(tmp_path, height=height, width=width), tmp_path / "named.onnx"
    add(plain, "--preprocess", preset, "-o", named)
    assert preprocessing(named) == preprocessing(plain, "--preprocess", preset)
    if preset != "none":  # the photo is larger than the model's input
        expected = classify(plain, "--preprocess", preset)
        assert classify(named)["results"] == expected["results"]


CHANGES = [
    ("--fit", "stretch"),
    ("--fit", "stretch", "--resize", "60x40"),
    ("--resize", "64"),
    ("--resize", "none", "--crop", "none"),
    ("--crop", "20x10"),
    ("--filter", "nearest", "--order", "bgr"),
    ("--scale", "1", "--mean", "127.5", "--std", "1,2,3"),
]


@needs_program
@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_values_change_a_preset_as_the_options_do(words: tuple[str, ...], tmp_path: Path) -> None:
    plain, named = make_model(tmp_path, height=48, width=24), tmp_path / "named.onnx"
    add(plain, "--preprocess", "imagenet", *words, "-o", named)
    assert preprocessing(named) == preprocessing(plain, "--preprocess", "imagenet", *words)


@needs_program
def test_the_program_reads_labels_and_values(model: Path, tmp_path: Path) -> None:
    labels = labels_file(tmp_path, "red\ngreen\nblue sky\nSchnee ❄\n")
    text = add(model, "--labels", labels, *VALUES, "--resize", "12", "--crop", 8)
    assert "resize=12 crop=8 order=rgb scale=255 mean=0.5,0.25,0.125 std=1,2,1e-1" in text
    assert "4: red, green, blue sky, Schnee ❄" in text and f"written to {model}" in text
    found = classify(model)
    assert {one["label"] for one in found["results"][0]["predictions"]} < {
        "red",
        "green",
        "blue sky",
        "Schnee ❄",
    }


def test_only_the_metadata_changes(tmp_path: Path) -> None:
    target = tmp_path / "new.onnx"
    add(SHIPPED, "--labels", labels_file(tmp_path, "\n".join(TEN)), "-o", target)
    before, after = onnx.load(SHIPPED), onnx.load(target)
    assert before.graph == after.graph and before.opset_import == after.opset_import
    assert properties(target) == properties(SHIPPED) | {"resnet.labels": "\n".join(TEN)}
    assert len(after.metadata_props) == len(before.metadata_props)
    onnx.checker.check_model(after)


def test_nothing_is_written_without_an_option(model: Path) -> None:
    before = model.read_bytes()
    assert add(SHIPPED).splitlines()[0].endswith("10, input 32 x 32 x 3")
    assert "resnet.labels" in add(SHIPPED) and "resnet" not in add(model)
    assert model.read_bytes() == before


def test_weights_beside_the_model_stay_there(tmp_path: Path) -> None:
    for suffix in ("", ".data"):
        shutil.copy(f"{EXTERNAL}{suffix}", tmp_path)
    source = tmp_path / EXTERNAL.name
    weights = (tmp_path / f"{EXTERNAL.name}.data").read_bytes()
    add(
        source,
        "--labels",
        labels_file(tmp_path, "\n".join(TEN)),
        "-o",
        tmp_path / "new.onnx",
    )
    assert (tmp_path / f"{EXTERNAL.name}.data").read_bytes() == weights
    assert onnx.load(tmp_path / "new.onnx").graph == onnx.load(source).graph
    (tmp_path / "other").mkdir()
    text = add(source, "--preprocess", "imagenet", "-o", tmp_path / "other" / "new.onnx", code=1)
    assert f"{EXTERNAL.name}.data" in text and "same folder" in text
    assert list((tmp_path / "other").iterdir()) == []


def test_a_file_in_gzip(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "made.onnx.gz"
    packed.write_bytes(gzip.compress(model.read_bytes()))
    add(packed, "--labels", labels_file(tmp_path, "a\nb\nc\nd"))
    unpacked = tmp_path / "unpacked.onnx"
    unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
    assert properties(unpacked) == {"resnet.labels": "a\nb\nc\nd"}


@pytest.mark.parametrize(
    "text",
    [
        '["a", "b", "c", "d"]',
        '{"0": "a", "2": "c", "1": "b", "3": "d"}',
        '{"0": ["n01", "a"], "1": ["n02", "b"], "2": ["n03", "c"], "3": ["n04", "d"]}',
        '{"a": 0, "b": 1, "d": 3, "c": 2}',
        '{"model_type": "resnet", "id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}}',
        '{"names": ["a", "b", "c", "d"]}',
        '[{"id": 3, "name": "d"}, {"id": 0, "name": "a"}, {"id": 2, "name": "c"}, '
        '{"id": 1, "name": "b"}]',
        '[[3, "d"], [0, "a"], [2, "c"], [1, "b"]]',
        '{"categories": [{"id": "1", "label": "b"}, {"id": "0", "label": "a"}, '
        '{"id": "2", "label": "c"}, {"id": "3", "label": "d"}]}',
        '[["n01", "a"], ["n02", "b"], ["n03", "c"], ["n04", "d"]]',
        "{0: 'a',\n 1: 'b',\n 2: 'c',\n 3: 'd'}",
    ],
)
def test_labels_of_json(model: Path, tmp_path: Path, text: str) -> None:
    add(model, "--labels", labels_file(tmp_path, text, "labels.json"))
    assert properties(model) == {"resnet.labels": "a\nb\nc\nd"}


@pytest.mark.parametrize(
    "text",
    [
        "a\nb\nc\nd",
        "\ufeffa\r\nb\r\nc\r\nd\r\n\r\n",
        "0: a\n1: b\n2: c\n3: d",
        "3 d\n1 b\n0 a\n2 c\n",
        "a\rb\rc\rd\r",
    ],
)
def test_labels_of_text(model: Path, tmp_path: Path, text: str) -> None:
    add(model, "--labels", labels_file(tmp_path, text))
    assert properties(model) == {"resnet.labels": "a\nb\nc\nd"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["a", "b"]', "2 labels were given, the model has 4 classes"),
        ('{"0": "a", "2": "b"}', "keys"),
        ('["a", "b", "c", 7]', "label 3 is 7"),
        ('[[1, "a"], [2, "b"], [3, "c"], [4, "d"]]', "its 4 ids are not 0 to 3, each once"),
        ('[[1, "a"], [0, "b"], "c", "d"]', "entry 2 has no id, unlike others"),
        ('["a", "b", "c", " "]', "label 3 is empty"),
        ('"abcd"', "list or object"),
        ("{", "labels.json"),
    ],
)
def test_wrong_labels_of_json(model: Path, tmp_path: Path, text: str, said: str) -> None:
    before = model.read_bytes()
    assert said in add(model, "--labels", labels_file(tmp_path, text, "labels.json"), code=1)
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "label 0 is empty"),
        ("a\n\nc\nd", "label 1 is empty"),
        ("a", "1 labels"),
        ("3 d\n1 b\n1 a\n2 c\n", "its 4 indices are not 0 to 3, each once"),
        ("id,name\n0,a\n1,b\n2,c\n3,d\n", "line 1 has no index"),
        ("# names\na\nb\nc\nd\n", "line 1 is a comment"),
    ],
)
def test_wrong_labels_of_text(model: Path, tmp_path: Path, text: str, said: str) -> None:
    assert said in add(model, "--labels", labels_file(tmp_path, text), code=1)
    assert properties(model) == {}


@pytest.mark.parametrize(
    ("classes", "labels", "written"),
    [
        (1, "melanoma", "not melanoma\nmelanoma"),
        (1, "benign\nmelanoma", "benign\nmelanoma"),
        (2, "benign\nmelanoma\n", "benign\nmelanoma"),
    ],
)
def test_two_classes(tmp_path: Path, classes: int, labels: str, written: str) -> None:
    model = make_model(tmp_path, classes=classes)
    add(model, "--labels", labels_file(tmp_path, labels))
    assert properties(model) == {"resnet.labels": written}


def test_names_of_imagenet(tmp_path: Path) -> None:
    names = (ROOT / "models" / "imagenet-labels.txt").read_text().rstrip("\n")
    model = make_model(tmp_path, classes=1000)
    add(model, "--labels", "imagenet")
    assert properties(model) == {"resnet.labels": names}
    model = make_model(tmp_path, classes=1001)
    add(model, "--labels", "imagenet")
    assert properties(model) == {"resnet.labels": f"background\n{names}"}
    model = make_model(tmp_path, classes=999)
    assert "1,000 labels were given, the model has 999 classes" in add(
        model, "--labels", "imagenet", code=1
    )


def test_one_number_holds_for_all_channels(model: Path) -> None:
    text = add(model, "--preprocess", "unit", "--mean", "0.5", "--std", ".25")
    assert "scale=255 mean=0.5 std=.25" in text


def test_a_model_of_one_channel_takes_grey(tmp_path: Path) -> None:
    model = make_model(tmp_path, channels=1)
    assert "--preprocess grey" in add(model, "--preprocess", "imagenet", code=1)
    assert "order=grey scale=255 mean=0.5 std=1" in add(
        model, "--preprocess", "grey", "--mean", "0.5"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mean", "0,0,0"), "--scale, --std must be given"),
        (("--preprocess", "imagenet", "--mean", "1,2"), "--mean 1,2: one number or 3"),
        (("--preprocess", "imagenet", "--mean", "0,0,nan"), "--mean 0,0,nan"),
        (("--preprocess", "imagenet", "--std", "1,1,0"), "greater than 0"),
        (("--preprocess", "imagenet", "--scale", "-1"), "greater than 0"),
        (("--preprocess", "imagenet", "--resize", "0"), "--resize 0"),
        (("--preprocess", "imagenet", "--crop", "8x8x8"), "--crop 8x8x8"),
    ],
)
def test_wrong_preprocessing(model: Path, words: tuple[str, ...], said: str) -> None:
    before = model.read_bytes()
    assert said in add(model, *words, code=1)
    assert model.read_bytes() == before and len(list(model.parent.iterdir())) == 1


@pytest.mark.parametrize("words", [("--preprocess", "imagent"), ("--order", "gbr"), ("--bogus",)])
def test_wrong_usage_is_2(model: Path, words: tuple[str, ...]) -> None:
    add(model, *words, code=2)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x08\x07", b"\x3a\xff", b"\x1f\x8bno"])
def test_what_is_no_onnx_file_is_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    assert "net.onnx" in add(path, "--preprocess", "imagenet", code=1)
    assert path.read_bytes() == data and list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_ends_in_a_message(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    for cut in range(1, len(data), 7):
        path = tmp_path / "cut.onnx"
        path.write_bytes(data[:cut])
        command = [sys.executable, "-I", "-S", TOOL, path]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, cut
