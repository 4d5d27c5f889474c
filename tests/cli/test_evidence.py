"""A model that normalises its input itself: resnet finds it in the graph, and gives the
same answers as with the metadata."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SANITIZED, resnet, resnet_json

np = pytest.importorskip("numpy", reason="NumPy is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import helper, numpy_helper  # noqa: E402

RESNET20 = ROOT / "models" / "cifar10-resnet20.onnx"
IMAGES = 100 if SANITIZED else 1000
DATA = Path(os.environ.get("LIBRESNET_TEST_DATA") or ROOT.parent / "shared") / "data"
TEST = DATA / "cifar10-jpeg-test.zip"


def normalisation() -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation of the shipped model's metadata."""
    metadata = {entry.key: entry.value for entry in onnx.load(RESNET20).metadata_props}
    words = dict(word.split("=") for word in metadata["resnet.preprocess"].split())
    return tuple(np.array(words[key].split(","), np.float32) for key in ("mean", "std"))


MEAN, STD = normalisation()
# Nodes in front of the network: operator, constants, attributes.
SPELLINGS: dict[str, list[tuple]] = {
    "sub_div": [("Sub", [MEAN]), ("Div", [STD])],
    "mul_add": [("Mul", [1 / STD]), ("Add", [-MEAN / STD])],
    "mul_sub": [("Mul", [1 / STD]), ("Sub", [MEAN / STD])],
    "div_sub": [("Div", [STD]), ("Sub", [MEAN / STD])],
    "batch_norm": [("BatchNormalization", [1, 0, MEAN, STD**2], {"epsilon": 1e-9})],
    "byte_sub_div": [("Sub", [255 * MEAN]), ("Div", [255 * STD])],
    "rescaling": [("Mul", [1 / 255]), ("Add", [0]), ("Sub", [MEAN]), ("Div", [STD])],
    "signed": [("Add", [1]), ("Mul", [0.5]), ("Sub", [MEAN]), ("Div", [STD])],
    "depthwise": [("Conv", [(1 / STD).reshape(3, 1, 1, 1), -MEAN / STD], {"group": 3})],
}
SCALES = {"byte_sub_div": 1, "rescaling": 1, "signed": 127.5}


def constant(operator: str, value: object) -> np.ndarray:
    array = np.asarray(value, np.float32)
    if operator == "BatchNormalization":
        return np.broadcast_to(array, 3).copy()
    return array.reshape(1, 3, 1, 1) if array.shape == (3,) and operator != "Conv" else array


def spelled(nodes: list[tuple], path: Path) -> Path:
    """Write the shipped model with the nodes in front, without its metadata."""
    model = onnx.load(RESNET20)
    graph, at = model.graph, model.graph.input[0].name
    for node in graph.node:
        node.input[:] = ["normalised" if name == at else name for name in node.input]
    before = []
    for number, (operator, values, *attributes) in enumerate(nodes):
        names = [f"pre{number}_{i}" for i in range(len(values))]
        for name, value in zip(names, values):
            graph.initializer.append(numpy_helper.from_array(constant(operator, value), name))
        after = "normalised" if number == len(nodes) - 1 else f"pre{number}"
        before.append(helper.make_node(operator, [at, *names], [after], **dict(*attributes)))
        at = after
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *rest])
    del model.metadata_props[:]
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of CIFAR-10's test images: as many of each class."""
    if not TEST.exists():
        pytest.skip(f"{TEST} is not there: set LIBRESNET_TEST_DATA")
    path = tmp_path_factory.mktemp("images") / "part.zip"
    with zipfile.ZipFile(TEST) as whole:
        names = sorted(name for name in whole.namelist() if name.endswith(".jpg"))
        with zipfile.ZipFile(path, "w") as part:
            for name in names[:: len(names) // IMAGES]:
                part.writestr(name, whole.read(name))
    return path


def top_1(model: Path, images: Path) -> str:
    text = resnet("eval", "--model", model, "--data", images).stdout.decode()
    return re.search(r"^top-1 +([0-9.]+ %)", text, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def expected(images: Path) -> str:
    return top_1(RESNET20, images)


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_answers_are_those_of_the_metadata(
    name: str, tmp_path: Path, images: Path, expected: str
) -> None:
    model = spelled(SPELLINGS[name], tmp_path / f"{name}.onnx")
    way = resnet_json("inspect", "--model", model)["preprocess"]
    assert (way["source"], way["scale"]) == ("graph", SCALES.get(name, 255))
    assert top_1(model, images) == expected


def test_the_output_says_where_the_values_come_from(tmp_path: Path) -> None:
    model = spelled(SPELLINGS["sub_div"], tmp_path / "model.onnx")
    checked = resnet("inspect", "--check", "--model", model)
    assert checked.returncode == 0
    assert "come from the graph" in checked.stdout.decode()
    assert "images of 0 to 1" in checked.stdout.decode()
    assert "(from the graph" in resnet("inspect", "--model", model).stdout.decode()


def test_a_preprocessing_that_normalises_twice_is_a_warning(tmp_path: Path) -> None:
    model = spelled(SPELLINGS["sub_div"], tmp_path / "model.onnx")
    checked = resnet("inspect", "--check", "--preprocess", "cifar10", "--model", model)
    assert checked.returncode == 1
    assert "without a preprocessing in the options" in checked.stdout.decode()
    right = resnet("inspect", "--check", "--preprocess", "unit", "--model", model)
    assert right.returncode == 0


def test_an_unknown_scale_stays_a_guess_with_a_warning(tmp_path: Path) -> None:
    model = spelled([("Mul", [2.0])], tmp_path / "model.onnx")
    assert resnet_json("inspect", "--model", model)["preprocess"]["source"] == "guessed"
    checked = resnet("inspect", "--check", "--model", model)
    assert checked.returncode == 1 and "may be wrong" in checked.stdout.decode()


def test_a_pool_before_the_normalisation_is_followed(tmp_path: Path) -> None:
    pool = ("AveragePool", [], {"kernel_shape": [2, 2], "strides": [2, 2]})
    model = spelled([pool, *SPELLINGS["byte_sub_div"]], tmp_path / "model.onnx")
    way = resnet_json("inspect", "--model", model)["preprocess"]
    assert (way["source"], way["scale"]) == ("graph", 1)


def test_an_unknown_step_behind_a_known_one_is_a_warning(tmp_path: Path) -> None:
    nodes = [("Sub", [MEAN]), ("Div", [STD * [1, -1, 1]])]
    model = spelled(nodes, tmp_path / "model.onnx")
    checked = resnet("inspect", "--check", "--model", model)
    assert checked.returncode == 1 and "may be wrong" in checked.stdout.decode()


def test_a_plain_network_stays_a_guess(tmp_path: Path) -> None:
    model = spelled([("Identity", [])], tmp_path / "model.onnx")
    checked = resnet("inspect", "--check", "--model", model)
    assert checked.returncode == 0 and "is a guess" in checked.stdout.decode()


def test_a_plan_file_keeps_what_the_graph_shows(tmp_path: Path) -> None:
    model, plan = spelled(SPELLINGS["byte_sub_div"], tmp_path / "model.onnx"), tmp_path / "p.resnet"
    assert resnet("compile", "--model", model, "-o", plan).returncode == 0
    ways = [resnet_json("inspect", "--model", path)["preprocess"] for path in (model, plan)]
    assert ways[0] == ways[1] and ways[1]["source"] == "graph"
    assert "come from the graph" in resnet("inspect", "--check", "--model", plan).stdout.decode()
