"""resnet compare without blocks: its answers are exactly those of onnxruntime with the
file's graph edited the same way."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SANITIZED, resnet_json
from quiet import expect_time

np = pytest.importorskip("numpy", reason="NumPy is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

sys.path.insert(0, str(ROOT / "tests"))
import nets  # noqa: E402

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("LIBRESNET_TEST_DATA", ROOT.parent / "shared"))
IMAGES = DATA / "data/cifar10-jpeg-test.zip"
SHIPPED = ROOT / "models/cifar10-resnet20.onnx"
OPTION_A = DATA / "models/cifar10_resnet20_optionA_opset13.onnx"
COUNT = 50 if SANITIZED else 200


def needed(path: Path) -> Path:
    if not path.exists():
        pytest.skip(
            f"{path} is not there: set LIBRESNET_TEST_DATA to the folder with models/ and data/"
        )
    return path


# ---- what onnxruntime says


def chosen_images(archive: Path, count: int) -> list[tuple[int, str]]:
    """Return class and name of every (all / count)-th image, in order of class, then
    name."""
    with zipfile.ZipFile(archive) as z:
        names = sorted((n.split("/")[-2], n) for n in z.namelist() if not n.endswith("/"))
    folders = sorted({folder for folder, _ in names})
    every = [names[i * len(names) // count] for i in range(count)]
    return [(folders.index(folder), name) for folder, name in every]


def prepared(archive: Path, chosen: list[tuple[int, str]], way: dict) -> np.ndarray:
    """Return (n,c,h,w); the images have the model's size."""
    with zipfile.ZipFile(archive) as z:
        pixels = [
            np.asarray(Image.open(z.open(name)).convert("RGB"), np.float32) for _, name in chosen
        ]
    values = (np.stack(pixels) / way["scale"] - np.float32(way["mean"])) / np.float32(way["std"])
    return values.transpose(0, 3, 1, 2).copy()


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in model.graph.node for output in node.output}


def is_branch(made_by: dict, tensor: str) -> bool:
    """Return whether the tensor comes from a 3x3 convolution, with or without batch
    normalisation, as a branch's does and a shortcut's does not."""
    node = made_by[tensor]
    if node.op_type == "BatchNormalization":
        node = made_by[node.input[0]]
    return node.op_type == "Conv" and any(
        a.name == "kernel_shape" and list(a.ints) == [3, 3] for a in node.attribute
    )


def without_block(file: Path, block: int) -> onnx.ModelProto:
    """Return the graph in which the block's addition passes on its shortcut."""
    model = onnx.load(file)
    made_by = producers(model)
    adding = [
        n
        for n in model.graph.node
        if n.op_type == "Add"
        and n.output[0] in made_by
        and len(n.input) == 2
        and all(i in made_by for i in n.input)
    ][block]
    (shortcut,) = [tensor for tensor in adding.input if not is_branch(made_by, tensor)]
    adding.CopyFrom(
        onnx.helper.make_node("Identity", [shortcut], list(adding.output), name=adding.name)
    )
    return model


def without_pair(file: Path, first_relu: int) -> onnx.ModelProto:
    """Return the graph of a plain model without a pair of layers: the second ReLU takes
    what the pair takes."""
    model = onnx.load(file)
    relus = [n for n in model.graph.node if n.op_type == "Relu"]
    relus[first_relu + 2].input[0] = relus[first_relu].output[0]
    return model


def right(model: onnx.ModelProto, values: np.ndarray, truths: np.ndarray) -> int:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    sub_batches = (
        [values] if not isinstance(shape[0], int) else np.split(values, len(values) // shape[0])
    )
    scores = np.concatenate([session.run(None, {name: sub_batch})[0] for sub_batch in sub_batches])
    return int((scores.argmax(1) == truths).sum())


# ---- the program


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Return twice as many images as the ablation uses, equally many of each class."""
    path = tmp_path_factory.mktemp("data") / "some.zip"
    with zipfile.ZipFile(needed(IMAGES)) as every, zipfile.ZipFile(path, "w") as some:
        for _, name in chosen_images(IMAGES, 2 * COUNT):
            some.writestr(name, every.read(name))
    return path


def compare(archive: Path, *files: Path, options: tuple = ()) -> list[dict]:
    return resnet_json("compare", "-q", "--data", archive, "--lesions", COUNT, *options, *files)[
        "models"
    ]


@pytest.fixture(scope="module")
def answers(archive) -> list[dict]:
    return compare(archive, SHIPPED, needed(OPTION_A))


@pytest.fixture(scope="module")
def chosen(archive) -> list[tuple[int, str]]:
    """Return the images that the ablation uses."""
    return chosen_images(archive, COUNT)


@pytest.mark.parametrize("index, file", [(0, SHIPPED), (1, OPTION_A)], ids=["shipped", "option A"])
def test_blocks_left_out_as_in_an_edited_graph(index, file, answers, archive, chosen):
    net = answers[index]
    truths = np.array([truth for truth, _ in chosen])
    assert (np.bincount(truths) == COUNT // 10).all(), "as many of each class"
    values = prepared(archive, chosen, net["preprocess"])
    ablations = net["lesions"]
    assert (ablations["images"], round(ablations["top1"] * COUNT)) == (
        COUNT,
        right(onnx.load(file), values, truths),
    )
    assert len(net["blocks"]) == 9 and all(b["can_skip"] for b in net["blocks"])
    found = [round(block["skipped_top1"] * COUNT) for block in net["blocks"]]
    assert found == [right(without_block(file, i), values, truths) for i in range(9)]
    assert len(set(found)) > 4, "blocks differ in what they are worth"


def test_plain_pairs_left_out_as_in_an_edited_graph(archive, chosen, tmp_path):
    file = tmp_path / "plain14.onnx"
    net = nets.Net(5, channels={"input": 3})
    x = net.relu(net.conv("input", "stem", 8, 3), "relu")
    for stage, channels in enumerate((8, 16)):
        for pair in range(2):
            stride = 2 if stage and not pair else 1
            x = net.relu(
                net.conv(x, f"{stage}.{pair}.a", channels, 3, stride), f"{stage}.{pair}.relu1"
            )
            x = net.relu(net.conv(x, f"{stage}.{pair}.b", channels, 3), f"{stage}.{pair}.relu2")
    onnx.save(net.model(net.head(x, 16, 10, "flatten"), (None, 3, 32, 32), 10), file)
    (answer,) = compare(archive, file, options=("--preprocess", "cifar10"))
    truths = np.array([truth for truth, _ in chosen])
    values = prepared(archive, chosen, answer["preprocess"])
    blocks = answer["blocks"]
    assert [b["can_skip"] for b in blocks] == [True, True, False, True]
    assert blocks[2]["skipped_top1"] is None, "it changes the shape"
    for pair in (0, 1, 3):
        assert round(blocks[pair]["skipped_top1"] * COUNT) == right(
            without_pair(file, 2 * pair), values, truths
        )
    removed = [(r["removed"], r["choices"]) for r in answer["lesions"]["removals"]]
    assert removed == [(1, 3), (2, 5), (3, 1)], "of the three that can be left out"


def test_removals(answers):
    for net in answers:
        removals = net["lesions"]["removals"]
        assert [(r["removed"], r["choices"]) for r in removals] == [
            (1, 9),
            (2, 5),
            (4, 5),
            (8, 5),
            (9, 1),
        ]
        singles = [block["skipped_top1"] for block in net["blocks"]]
        assert removals[0]["mean_top1"] == pytest.approx(np.mean(singles))
        assert (removals[0]["min_top1"], removals[0]["max_top1"]) == (min(singles), max(singles))
        assert all(r["min_top1"] <= r["mean_top1"] <= r["max_top1"] for r in removals)
        assert removals[-1]["mean_top1"] < removals[0]["mean_top1"] < net["lesions"]["top1"]


def ablations_of(answers_: list[dict]) -> list:
    return [
        (net["lesions"], [(b["can_skip"], b["skipped_top1"]) for b in net["blocks"]])
        for net in answers_
    ]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_same_numbers_every_time(threads, archive, answers):
    again = compare(archive, SHIPPED, needed(OPTION_A), options=("--threads", threads))
    assert ablations_of(again) == ablations_of(answers)


def test_none_and_more_than_there_are(images):
    none, all_ = (
        resnet_json("compare", "-q", "--data", images, "--lesions", n, SHIPPED)["models"][0]
        for n in (0, 999)
    )
    assert none["lesions"]["images"] == 0 and none["lesions"]["removals"] == []
    assert all(b["can_skip"] and b["skipped_top1"] is None for b in none["blocks"])
    assert all_["lesions"]["images"] == 60


# ---- what shortcuts cost


@pytest.mark.alone
def test_costs(answers):
    """Bytes follow from the shapes. Times are there, and a separate addition takes longer
    where it adds more."""
    blocks = answers[1]["blocks"]
    side, width = [32] * 3 + [16] * 3 + [8] * 3, [16] * 3 + [32] * 3 + [64] * 3
    for i, block in enumerate(blocks):
        tensor = 4 * side[i] ** 2 * width[i]
        if block["shortcut"] == "option A":
            assert (block["shortcut_bytes"], block["unfused_bytes"]) == (
                tensor // 2,
                4 * tensor + tensor // 2,
            )
        else:
            assert (block["shortcut_bytes"], block["unfused_bytes"]) == (tensor, 3 * tensor)
        assert block["unfused_ms"] > 0
        assert (
            block["shortcut_ms"] is None
            or abs(block["shortcut_ms"]) < answers[1]["latency_ms"]["min"]
        )


@pytest.mark.alone
def test_costs_of_projections_and_plain_nets(images, tmp_path):
    files = []
    for kind, options in (("resnet8", nets.Options(shortcut="B")), ("plain8", nets.Options())):
        onnx.save(nets.generate(kind, options)[0], tmp_path / f"{kind}.onnx")
        files.append(tmp_path / f"{kind}.onnx")
    residual, plain = resnet_json(
        "compare", "-q", "--preprocess", "cifar10", "--data", images, "--lesions", 0, *files
    )["models"]
    tensor = 4 * 16 * 16 * 32
    making = tensor // 2 + 4 * (16 * 32 + 32) + tensor
    block = residual["blocks"][1]
    assert block["shortcut"] == "projection"
    assert (block["shortcut_bytes"], block["unfused_bytes"]) == (
        making + tensor,
        making + 3 * tensor,
    )
    # these slow our addition down, but not XNNPACK's convolution
    if not SANITIZED:
        # The projection is a separate convolution in both cases: far above the noise.
        shortcut, added = block["shortcut_ms"], residual["blocks"][0]["unfused_ms"]
        expect_time(
            shortcut is not None and shortcut > 0 and added < block["unfused_ms"],
            f"shortcut {shortcut} ms, unfused {added} and {block['unfused_ms']} ms",
        )
    for block in plain["blocks"]:
        assert block["shortcut_ms"] is None and block["unfused_ms"] is None
        assert block["shortcut_bytes"] == block["unfused_bytes"] == 0
