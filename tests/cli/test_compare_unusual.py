"""resnet compare in unusual cases: other families of models, few or no images, places
that cannot be written, interruption."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT, complaint, resnet, resnet_json, run
from test_compare import QUICK, net, without_times

pytestmark = pytest.mark.slow

np = pytest.importorskip("numpy", reason="NumPy is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

SHIPPED = ROOT / "models/cifar10-resnet20.onnx"
OTHERS = {
    "squeeze and excitation": "timm/legacy_seresnet18_ts_opset11",
    "efficient channel attention": "timm/ecaresnet26t_ts_opset17",
    "BlurPool": "timm/resnetblur18_ts_opset13",
    "pre-activation": "timm/resnetv2_18_ts_opset13",
}


def paint(folder: Path, names: list[str], count: int, size: tuple[int, int]) -> Path:
    """Write PNGs of random blots, <name>/<number>.png."""
    rng = np.random.default_rng(11)
    for number in range(count):
        place = folder / names[number % len(names)]
        place.mkdir(parents=True, exist_ok=True)
        blots = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        blots.resize(size, Image.Resampling.BICUBIC).save(place / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Return 20 images in ten folders, for models that take 32 x 32 pixels."""
    return paint(tmp_path_factory.mktemp("small"), [f"class{i}" for i in range(10)], 20, (32, 32))


@pytest.fixture(scope="module")
def residual(tmp_path_factory) -> Path:
    return net(tmp_path_factory.mktemp("residual"), "residual", "resnet8", "--seed", 2)


def renamed(path: Path, to: Path, name: str) -> Path:
    """Return a copy whose graph has another name."""
    model = onnx.load(path)
    model.graph.name = name
    onnx.save(model, to)
    return to


# ---- other models


def check_outputs(file: Path, data: Path, model: dict) -> None:
    """Compare the blocks' outputs with onnxruntime's."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    graph, way = onnx.load(file), model["preprocess"]
    made = {output for node in graph.graph.node for output in node.output}
    outputs = {
        r["tensor"]: r["std"]
        for r in model["responses"]
        if r["point"] == "output" and r["tensor"] in made
    }
    assert len(outputs) >= 8
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.stack(
        [np.asarray(Image.open(image), np.float32) for image in sorted(data.glob("*/*"))]
    )
    values = ((pixels / way["scale"] - np.float32(way["mean"])) / np.float32(way["std"])).transpose(
        0, 3, 1, 2
    )
    one = session.get_inputs()[0].name
    runs = [
        session.run(list(outputs), {one: np.ascontiguousarray(values[i : i + 1])})
        for i in range(len(values))
    ]
    for (tensor, std), parts in zip(outputs.items(), zip(*runs)):
        assert std == pytest.approx(np.stack(parts).astype(np.float64).std(), rel=1e-4), (
            file.name,
            tensor,
        )


def test_other_families(tmp_path):
    data = paint(tmp_path / "data", [str(i) for i in range(10)], 12, (96, 64))
    files = [ROOT / "tests/models" / f"{name}.onnx" for name in OTHERS.values()]
    document = resnet_json(
        "compare",
        *files,
        "--data",
        data,
        "--preprocess",
        "imagenet",
        "--resize",
        "none",
        "--crop",
        "none",
        "--lesions",
        4,
        "--quiet",
    )
    assert document["images"] == 12
    for what, model in zip(OTHERS, document["models"], strict=True):
        assert [r["layer"] for r in model["responses"] if r["layer"]] == list(
            range(1, model["layers"] + 1)
        ), what
        assert all(r["values"] > 0 and math.isfinite(r["std"]) for r in model["responses"]), what
        points = {(r["block"], r["point"]) for r in model["responses"]}
        assert len(model["blocks"]) == 8, what
        for block in model["blocks"]:
            assert {(block["name"], "shortcut"), (block["name"], "output")} <= points, (
                what,
                block["name"],
            )
            # One branch of the random weights is 0 everywhere.
            assert (
                0 <= block["ratio"] < math.inf
                and block["ratio"] == block["branch_std"] / block["shortcut_std"]
            ), what
            assert block["can_skip"] and 0 <= block["skipped_top1"] <= 1, (what, block["name"])
        assert model["lesions"]["images"] == 4, what
        assert any(block["ratio"] > 0.01 for block in model["blocks"]), what
    for file, model in zip(files, document["models"]):
        check_outputs(file, data, model)


# ---- how models are called


@pytest.mark.parametrize(
    "names, titles",
    [
        (("main_graph", "torch_jit"), ("a.onnx", "b.onnx")),
        (("mine", "main_graph"), ("a.onnx", "b.onnx")),  # all by one rule
        (("mine", "yours"), ("mine", "yours")),
        (("mine", "mine"), ("a.onnx", "b.onnx")),
    ],
)
def test_what_exporters_call_every_graph_is_no_name(names, titles, residual, small, tmp_path):
    files = [
        renamed(residual, tmp_path / f"{letter}.onnx", name) for letter, name in zip("ab", names)
    ]
    document = resnet_json("compare", *files, "--data", small, *QUICK)
    assert tuple(m["title"] for m in document["models"]) == titles


def test_files_of_one_name_are_called_by_their_paths(residual, small, tmp_path):
    files = [tmp_path / letter / "net.onnx" for letter in "ab"]
    for file in files:
        file.parent.mkdir()
        renamed(residual, file, "main_graph")
    document = resnet_json("compare", *files, "--data", small, *QUICK)
    assert [m["title"] for m in document["models"]] == [str(file) for file in files]


# ---- few models, many classes, no images


def test_one_net_and_the_same_net_twice(residual, small):
    one = resnet_json("compare", residual, "--data", small, *QUICK)
    assert one["pairs"] == [] and len(one["models"]) == 1
    two = resnet_json("compare", residual, residual, "--data", small, *QUICK)
    first, second = without_times(two["models"])
    assert first == second
    assert first | {"title": ""} == without_times(one["models"][0]) | {"title": ""}
    (pair,) = two["pairs"]
    assert pair["agree"] == pair["images"] == 20 and pair["only_a"] == pair["only_b"] == 0
    assert (pair["mcnemar_p"], pair["differences"]) == (1, [])


def test_a_thousand_classes_and_few_folders(tmp_path):
    file = net(tmp_path, "thousand", "resnet8", "--classes", 1000, "--seed", 9)
    model = onnx.load(file)
    entry = model.metadata_props.add()
    entry.key, entry.value = "resnet.labels", "\n".join(f"thing {i}" for i in range(1000))
    onnx.save(model, file)
    data = paint(tmp_path / "data", ["thing 999", "thing 7", "thing 500"], 9, (32, 32))
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    document = resnet_json(
        "compare",
        file,
        "--data",
        data,
        *QUICK,
        "--preprocess",
        "cifar10",
        "--report",
        page,
        "--tables",
        tables,
    )
    (answer,) = document["models"]
    assert (
        answer["classes_by"] == "labels" and answer["confusion"] is None and answer["images"] == 9
    )
    with open(tables / "confusion.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["truth"] for row in rows} == {"thing 7", "thing 500", "thing 999"}
    assert sum(int(row["pictures"]) for row in rows) == 9
    assert page.stat().st_size < 2_000_000


def test_no_image_can_be_read(residual, tmp_path):
    data = tmp_path / "data"
    for name in range(10):
        (data / str(name)).mkdir(parents=True)
        (data / str(name) / "a.jpg").write_bytes(b"no image")
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    document = resnet_json(
        "compare",
        residual,
        residual,
        "--data",
        data,
        "--quiet",
        "--report",
        page,
        "--tables",
        tables,
        code=1,
    )
    assert document["images"] == 0 and len(document["errors"]) == 10
    for model in document["models"]:
        assert (model["images"], model["top1"], model["top1_ci95"], model["calibration_error"]) == (
            0,
            None,
            [None, None],
            None,
        )
        assert all(r["std"] is None for r in model["responses"])
        assert all(b["ratio"] is None and b["skipped_top1"] is None for b in model["blocks"])
        assert model["lesions"] == {"images": 0, "top1": None, "removals": []}
        assert model["latency_ms"]["median"] > 0, "that needs no images"
    text = page.read_text()
    for said in (
        "No image could be evaluated",
        "Layer responses were not observed",
        "No blocks were left out, so",
        "Responses were not observed, so the size",
        "No image was evaluated by both",
    ):
        assert said in text, said
    assert (
        not (tables / "layers-in-order.svg").exists()
        and "nan" not in text.lower().split("<script>")[0].split("</style>")[1]
    )


# ---- places that cannot be written are refused before the work


def refused(*arguments) -> str:
    """Return the message of a run that opened nothing: it does not even say that the data
    are missing."""
    result = resnet("compare", *arguments, "--quiet")
    assert not result.stdout
    return complaint(result).removeprefix("resnet: ")


def test_report_in_no_place(residual, tmp_path):
    nowhere = ("--data", tmp_path / "nowhere")
    page = tmp_path / "no" / "page.html"
    assert (
        refused(residual, *nowhere, "--report", page)
        == f"{page}: cannot be created: No such file or directory"
    )
    assert (
        refused(residual, *nowhere, "--report", tmp_path)
        == f"{tmp_path}: exists and is not a regular file; name a file to write"
    )


def test_report_in_place_of_what_is_read(residual, tmp_path):
    before = SHIPPED.read_bytes()
    link = tmp_path / "link.html"
    link.symlink_to(SHIPPED)
    for page in (SHIPPED, link):
        assert (
            refused(residual, SHIPPED, "--data", tmp_path, "--report", page)
            == f"{page}: is the model itself; name another file to write"
        )
    archive = tmp_path / "data.zip"
    archive.write_bytes(b"some")
    assert (
        refused(residual, "--data", archive, "--report", archive)
        == f"{archive}: is the data itself; name another file to write"
    )
    assert SHIPPED.read_bytes() == before and archive.read_bytes() == b"some"


def test_tables_in_no_folder(residual, tmp_path):
    file, missing = tmp_path / "file", tmp_path / "no" / "tables"
    file.write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    nowhere = ("--data", tmp_path / "nowhere")
    for tables in (file, tmp_path / "dangling"):
        assert (
            refused(residual, *nowhere, "--tables", tables)
            == f"{tables}: exists and is not a folder; name a folder to write to"
        )
    assert (
        refused(residual, *nowhere, "--tables", missing)
        == f"{missing}: cannot be created: No such file or directory"
    )
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_tables_in_a_folder_of_others(residual, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert (
        refused(residual, "--data", tmp_path / "nowhere", "--tables", closed)
        == f"{closed}: cannot be written to: Permission denied"
    )


def test_asking_leaves_nothing(residual, tmp_path):
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    message = refused(
        residual, "--data", tmp_path / "nowhere", "--report", page, "--tables", tables
    )
    assert message.startswith(f"{tmp_path}/nowhere: cannot be opened")
    assert list(tmp_path.iterdir()) == []


# ---- an end before time


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small, residual) -> tuple[float, dict]:
    """Return how long an undisturbed comparison takes, and its numbers."""
    tables = tmp_path_factory.mktemp("whole") / "tables"
    start = time.monotonic()
    resnet(
        "compare",
        residual,
        "--data",
        small,
        "--quiet",
        "--report",
        tables.parent / "page.html",
        "--tables",
        tables,
    )
    return time.monotonic() - start, json.loads((tables / "comparison.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_the_old_report_is_there(number, whole, small, residual, tmp_path):
    lasts, numbers = whole
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    command = [
        str(a)
        for a in (
            PROGRAM,
            "compare",
            residual,
            "--data",
            small,
            "--quiet",
            "--report",
            page,
            "--tables",
            tables,
        )
    ]
    ended = 0
    for attempt in range(5):
        page.write_text("old")
        # A shell that runs the tests in the background makes them ignore SIGINT, and with
        # them the program.
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        time.sleep(lasts * (attempt + 0.5) / 5)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode in (0, -number) and not said, (process.returncode, said)
        ended += process.returncode == -number
        text = page.read_text()
        assert text == "old" or text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")
        assert text != "old" or process.returncode
        if number != signal.SIGKILL:  # which nothing can be done about
            assert not list(tmp_path.rglob("*.tmp"))
    assert ended >= 3
    page.write_text("old")
    run(*command)
    again = json.loads((tables / "comparison.json").read_text())
    assert page.read_text() != "old" and without_times(again) == without_times(numbers)
