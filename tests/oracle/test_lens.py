"""The lens against PyTorch (lens_reference.json, made by make_lens_reference.py) and,
without that file, against onnxruntime."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from oracle import (
    BUILD,
    DATA,
    ROOT,
    TOLERANCE,
    as_nhwc,
    images,
    measured,
    need_file,
    onnx,
    reference,
    relative_error,
)

pytest.importorskip("PIL", reason="decoding needs Pillow: tools/deps installs it")
sys.path.append(str(ROOT / "models"))  # last, because tests has a nets.py, too
from images import Collection, Preprocess, load_collection

pytestmark = pytest.mark.slow

LENS_DUMP = BUILD / "tests" / "lens_dump"
OUTPUT, RESPONSE, SHORTCUT, CLASS_MAP = range(4)  # enum resnet_point
BRANCH_LEFT_OUT, SHORTCUT_LEFT_OUT, SWAPPED = 1, 2, 3  # enum resnet_skip
MODES = {"branch": BRANCH_LEFT_OUT, "shortcut": SHORTCUT_LEFT_OUT}
TEST_IMAGES = DATA / "data" / "cifar10-jpeg-test.zip"
REFERENCE = json.loads((ROOT / "tests" / "oracle" / "lens_reference.json").read_text())
NETS = list(REFERENCE["nets"])
REMAKE = (
    "make the reference anew: "
    "python tests/oracle/make_lens_reference.py --test cifar10-jpeg-test.zip"
)

# Blocks are ablated on every fourth image of the reference for the deep models, which
# would take minutes, and on all of them for the others.
STEPS = {name: 4 if name.endswith("56") else 1 for name in NETS}

# Both sides compute in 32-bit floats and add up in 64-bit ones: they differ by rounding
# within the network.
STATISTIC_TOLERANCE = 1e-4  # of the layer's deviation


@dataclass
class Lens:
    """What the library reported: records by name, statistics by (point, node), refusals
    by (block, mode), blocks as (first node, last node, output)."""

    records: dict[str, np.ndarray]
    moments: dict[tuple[int, str], tuple[float, float, float]] = field(default_factory=dict)
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    blocks: list[tuple[str, str, str]] = field(default_factory=list)


def read_records(path: Path) -> dict[str, np.ndarray]:
    """Return every record, (n,h,w,c), with the batches of a run joined."""
    data, at = np.fromfile(path, np.uint8), 0
    parts: dict[str, list[np.ndarray]] = {}
    while at < data.size:
        n, h, w, c, length = (int(value) for value in data[at : at + 20].view(np.uint32))
        name = data[at + 20 : at + 20 + length].tobytes().decode()
        at += 20 + length
        values = np.frombuffer(data[at : at + 4 * n * h * w * c].tobytes(), np.float32).reshape(
            n, h, w, c
        )
        at += values.nbytes
        parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def look(
    model: Path, x: np.ndarray, folder: Path, what: str, *options: object, timeout: float = 600
) -> Lens:
    """Run lens_dump on images x (n,c,h,w)."""
    if not LENS_DUMP.exists():
        pytest.skip(f"{LENS_DUMP} is not built: build the library, or set LIBRESNET_BUILD")
    given, written = folder / "lens.in", folder / "lens.out"
    x.astype(np.float32).tofile(given)
    command = [str(word) for word in (LENS_DUMP, model, given, written, what, *options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{model.name}: {done.stderr.strip() or done.returncode}"
    seen = Lens(read_records(written))
    written.unlink()
    for line in done.stdout.splitlines():
        kind, *words = line.split(" ", 5)
        if kind == "moments":
            seen.moments[int(words[0]), words[1]] = tuple(map(float, words[2:]))
        elif kind == "refused":
            seen.refused[int(words[0]), int(words[1])] = " ".join(words[2:])
        elif kind == "block":
            seen.blocks.append((words[0], words[1], words[2]))
    return seen


# ---- against PyTorch, on the images of CIFAR-10


@cache
def collection() -> Collection:
    """Return all test images, in the order of their names."""
    data = need_file(TEST_IMAGES)
    assert hashlib.sha256(data.read_bytes()).hexdigest() == REFERENCE["data_sha256"], (
        f"other images than the reference's; {REMAKE}"
    )
    return load_collection(data, 32)


def shipped(name: str) -> tuple[Path, dict, np.ndarray]:
    """Return the path of a model that ships, PyTorch's results for it, and its prepared
    images."""
    path, expected = ROOT / "models" / f"{name}.onnx", REFERENCE["nets"][name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"], (
        f"{path.name} is another net; {REMAKE}"
    )
    about = {item.key: item.value for item in onnx.load(path).metadata_props}
    return (
        path,
        expected,
        Preprocess.parse(about["resnet.preprocess"]).normalise(collection().pixels),
    )


def some_images(expected: dict, step: int) -> dict:
    """Return the part of PyTorch's classes that is of every `step`-th image."""
    ties = [[i // step, *classes] for i, *classes in expected["ties"] if i % step == 0]
    return {"classes": expected["classes"][::step], "ties": ties}


def check_classes(found: np.ndarray, expected: dict, what: str) -> None:
    """Check that each image has the same class; for a tie, either of the two."""
    wanted = np.array(list(map(int, expected["classes"])))
    assert len(found) == len(wanted)
    ties = {image: {best, second} for image, best, second in expected["ties"]}
    wrong = [i for i in np.flatnonzero(found != wanted) if found[i] not in ties.get(i, ())]
    assert not wrong, (
        f"{what}: {len(wrong)} images of another class than PyTorch's, first {wrong[:5]}"
    )


def check_moments(found: tuple[float, float, float], expected: dict, what: str) -> float:
    """Check that mean and deviation are within the tolerance. Return the larger
    difference, in deviations."""
    _, mean, std = found
    worst = max(abs(mean - expected["mean"]), abs(std - expected["std"])) / expected["std"]
    assert worst <= STATISTIC_TOLERANCE, f"{what}: mean {mean}, std {std}, PyTorch's {expected}"
    return worst


def test_every_net_that_ships_has_a_reference() -> None:
    assert sorted(NETS) == sorted(path.stem for path in (ROOT / "models").glob("*.onnx")), REMAKE


@pytest.mark.parametrize("name", NETS)
def test_responses_and_classes_are_pytorchs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, expected, x = shipped(name)
    seen = look(path, x, tmp_path, "moments", "--threads", 2, "--batch", 50)
    layers = [node for point, node in seen.moments if point == RESPONSE]
    assert sorted(layers) == sorted(expected["layers"]), "the layers that have responses"
    worst = [
        check_moments(seen.moments[RESPONSE, node], expected["layers"][node], node)
        for node in layers
    ]
    assert len(seen.blocks) == len(expected["blocks"])
    for (_, last, _), block in zip(seen.blocks, expected["blocks"]):
        worst.append(
            check_moments(
                seen.moments[RESPONSE, block["layer"]], block["branch"], f"branch at {last}"
            )
        )
        worst.append(
            check_moments(seen.moments[OUTPUT, last], block["output"], f"output at {last}")
        )
        assert ((SHORTCUT, last) in seen.moments) == (block["shortcut"] is not None), last
        if block["shortcut"]:
            worst.append(
                check_moments(
                    seen.moments[SHORTCUT, last], block["shortcut"], f"shortcut at {last}"
                )
            )
    check_classes(seen.records["scores"].reshape(len(x), -1).argmax(1), expected, name)
    measured(
        capsys,
        f"{name}: {len(worst)} responses over {len(x)} images within {max(worst):.1e} "
        "deviations of PyTorch's",
    )


@pytest.mark.parametrize("name", NETS)
def test_ablations_are_pytorchs_to_the_image(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, expected, x = shipped(name)
    assert len(x[:: REFERENCE["ablation_step"]]) == expected["ablation_images"] >= 1000
    step = REFERENCE["ablation_step"] * STEPS[name]
    x = np.ascontiguousarray(x[::step])
    seen = look(path, x, tmp_path, "ablations", "--threads", 2, "--batch", 50)
    done = 0
    for block, ablation in enumerate(expected["ablations"]):
        for key, mode in MODES.items():
            scores = seen.records.get(f"ablation {block} {mode}")
            if ablation[key] is None:
                assert scores is None and "UNSUPPORTED" in seen.refused[block, mode], (block, key)
                continue
            assert scores is not None, seen.refused.get((block, mode))
            check_classes(
                scores.reshape(len(x), -1).argmax(1),
                some_images(ablation[key], STEPS[name]),
                f"block {block} without its {key}",
            )
            done += 1
    # Without a skip the network is whole again.
    whole = some_images({**expected, "ties": []}, step)
    check_classes(seen.records["scores"].reshape(len(x), -1).argmax(1), whole, "restored")
    measured(
        capsys, f"{name}: {done} ablations, the same class as PyTorch's for each of {len(x)} images"
    )


def check_ablations(net: dict, expected: dict, step: int) -> None:
    """Check that the program counts as many images right without each block as PyTorch; a
    tie may go either way."""
    truths = collection().targets[:: REFERENCE["ablation_step"] * step]
    assert net["lesions"]["images"] == len(truths) == expected["ablation_images"] // step
    for found, ablation in zip(net["blocks"], expected["ablations"], strict=True):
        assert found["can_skip"] == (ablation["branch"] is not None), found["name"]
        if not ablation["branch"]:
            assert found["skipped_top1"] is None, found["name"]
            continue
        branch = some_images(ablation["branch"], step)
        right = int((np.array(list(map(int, branch["classes"]))) == truths).sum())
        difference = abs(round(found["skipped_top1"] * len(truths)) - right)
        assert difference <= len(branch["ties"]), found["name"]


@pytest.mark.parametrize("name", NETS)
def test_compare_says_what_pytorch_found(name: str) -> None:
    """This uses the program's own decoding, preprocessing, statistics and choice of
    images for ablations."""
    path, expected, _ = shipped(name)
    program = BUILD / "resnet"
    if not program.exists():
        pytest.skip(f"{program} is not built: build it, or set LIBRESNET_BUILD")
    command = [
        program,
        "compare",
        path,
        "--data",
        TEST_IMAGES,
        "--lesions",
        str(expected["ablation_images"] // STEPS[name]),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (net,) = json.loads(done.stdout)["models"]
    assert net["images"] == expected["images"] and net["sha256"] == expected["sha256"]
    responses = [found for found in net["responses"] if found["point"] == "response"]
    assert [found["name"] for found in responses] == list(expected["layers"]), (
        "layers in the order of the net"
    )
    for found in responses:
        check_moments(
            (0, found["mean"], found["std"]), expected["layers"][found["name"]], found["name"]
        )
    for found, block in zip(net["blocks"], expected["blocks"], strict=True):
        stds = {key: block[key] and block[key]["std"] for key in ("branch", "shortcut", "output")}
        wanted = stds | {"ratio": stds["branch"] / stds["shortcut"] if stds["shortcut"] else None}
        for key, value in wanted.items():
            said = found["ratio" if key == "ratio" else f"{key}_std"]
            if value is None:  # a plain block has no shortcut
                assert said is None, (found["name"], key)
            else:
                assert said == pytest.approx(value, rel=STATISTIC_TOLERANCE), (found["name"], key)
    check_ablations(net, expected, STEPS[name])
    if not expected["ties"]:  # the answer for every image, and so the accuracy
        confusion = np.zeros((10, 10), int)
        np.add.at(confusion, (collection().targets, list(map(int, expected["classes"]))), 1)
        assert net["confusion"] == confusion.tolist()
        assert net["top1"] == confusion.trace() / expected["images"]


# ---- against onnxruntime, on random images

JUDGED = {
    **{path.stem: path for path in sorted((ROOT / "models").glob("*.onnx"))},
    "plain20": ROOT / "tests" / "models" / "cifar" / "plain20_window_ts_opset11.onnx",
    "projections": ROOT / "tests" / "models" / "resnet8_option_b.onnx",
    "resnet32 of another": DATA / "models" / "cifar10_resnet32_optionA_opset13.onnx",
}


@dataclass
class Block:
    """Tensors of a block, and the node that makes its output. `shortcut` is None in a
    plain network."""

    input: str
    branch: str
    shortcut: str | None
    last: onnx.NodeProto


class Graph:
    """A model's nodes by name and by what they write, and who reads a tensor."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(path)
        self.nodes = {node.name: node for node in self.model.graph.node}
        self.makers = {node.output[0]: node for node in self.model.graph.node}
        self.readers: dict[str, list] = {}
        for node in self.model.graph.node:
            for tensor in node.input:
                self.readers.setdefault(tensor, []).append(node)

    def is_layer(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name].op_type in ("Conv", "Gemm")

    def response(self, name: str) -> str:
        """Return the tensor after a layer's batch normalisation, if the file keeps that
        apart."""
        tensor = self.nodes[name].output[0]
        norms = [
            node for node in self.readers.get(tensor, []) if node.op_type == "BatchNormalization"
        ]
        return norms[0].output[0] if norms else tensor

    def layers_behind(self, tensor: str, start: str) -> int:
        """Count the convolutions between two tensors."""
        count = 0
        while tensor != start:
            node = self.makers[tensor]
            count += node.op_type == "Conv"
            tensor = node.input[0]
        return count

    def block(self, first: str, output: str) -> Block:
        """Return the block from its first node to its output, which a ReLU makes."""
        relu, start = self.makers[output], self.nodes[first].input[0]
        assert relu.op_type == "Relu"
        add = self.makers[relu.input[0]]
        if add.op_type != "Add":
            return Block(start, relu.input[0], None, relu)
        shortcut, branch = sorted(add.input, key=lambda tensor: self.layers_behind(tensor, start))
        return Block(start, branch, shortcut, relu)


def judged(name: str, n: int = 3) -> tuple[Path, Graph, np.ndarray]:
    path = need_file(JUDGED[name])
    graph = Graph(path)
    shape = [axis.dim_value for axis in graph.model.graph.input[0].type.tensor_type.shape.dim]
    return path, graph, images((n, *shape[1:]), seed=5)


def judged_blocks(graph: Graph, seen: Lens) -> list[Block]:
    return [graph.block(first, output) for first, _, output in seen.blocks]


@pytest.mark.parametrize("name", JUDGED)
def test_responses_are_onnxruntimes(name: str, tmp_path: Path) -> None:
    path, graph, x = judged(name)
    seen = look(path, x, tmp_path, "responses", "--batch", 2)
    adds = {last: graph.block(first, output).shortcut for first, last, output in seen.blocks}
    tensors = {}
    for key in seen.records:
        point, _, rest = key.partition(" ")
        node, _, output = rest.partition(" ")
        if point == str(RESPONSE):
            tensors[key] = graph.response(node)
        elif point == str(SHORTCUT):
            tensors[key] = adds[node]
        elif point == str(OUTPUT) and output in graph.makers:
            tensors[key] = output
    names = list(dict.fromkeys(tensors.values()))
    expected = dict(zip(names, reference(graph.model, x, names)))
    for key, tensor in tensors.items():
        error = relative_error(seen.records[key], as_nhwc(expected[tensor], seen.records[key]))
        assert error <= TOLERANCE, f"{key}, tensor {tensor}: {error}"
    seen_points = [key.split(" ")[:2] for key in tensors]
    assert {node for point, node in seen_points if point == str(RESPONSE)} == set(
        filter(graph.is_layer, graph.nodes)
    ), "layers without a response"
    assert [node for point, node in seen_points if point == str(SHORTCUT)] == [
        node for node, tensor in adds.items() if tensor
    ], "additions without a shortcut"
    outputs = {tensor for key, tensor in tensors.items() if key[0] == str(OUTPUT)}
    assert {output for _, _, output in seen.blocks} <= outputs, "blocks without an output"


@pytest.mark.parametrize("name", JUDGED)
def test_a_class_map_is_the_layer_at_each_pixel(name: str, tmp_path: Path) -> None:
    path, graph, x = judged(name)
    seen = look(path, x, tmp_path, "responses")
    (layer,) = (node for node in graph.nodes.values() if node.op_type == "Gemm")
    class_map = seen.records[f"{CLASS_MAP} {layer.name} {layer.output[0]}"]
    constants = {
        constant.name: onnx.numpy_helper.to_array(constant)
        for constant in graph.model.graph.initializer
    }
    weight, bias = constants[layer.input[1]], constants[layer.input[2]]
    _, last, output = seen.blocks[-1]
    expected = seen.records[f"{OUTPUT} {last} {output}"] @ weight.T + bias
    assert class_map.shape == expected.shape
    assert relative_error(class_map, expected) <= TOLERANCE
    assert (
        relative_error(class_map.mean((1, 2)), seen.records["scores"].reshape(len(x), -1))
        <= TOLERANCE
    )


def observed(path: Path, x: np.ndarray, folder: Path, *options: object) -> np.ndarray:
    return look(path, x, folder, "responses", *options).records["scores"].reshape(len(x), -1)


@pytest.mark.parametrize("name", JUDGED)
def test_observing_changes_no_bit(name: str, tmp_path: Path) -> None:
    path, _, x = judged(name)
    unobserved = look(path, x, tmp_path, "ablations").records["scores"].reshape(len(x), -1)
    assert np.array_equal(observed(path, x, tmp_path), unobserved)


def edited(model: onnx.ModelProto, graph: Graph, block: Block, mode: int) -> onnx.ModelProto | None:
    """Return the model with one block changed as by resnet_session_skip; None where
    shapes or kind forbid it."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    (relu,) = (node for node in changed.graph.node if node.output[0] == block.last.output[0])
    if block.shortcut:
        relu.input[0] = block.shortcut if mode == BRANCH_LEFT_OUT else block.branch
        return changed
    conv = next(node for node in graph.readers[block.input] if node.op_type == "Conv")
    strides = next(
        list(attribute.ints) for attribute in conv.attribute if attribute.name == "strides"
    )
    if mode == SHORTCUT_LEFT_OUT or strides != [1, 1]:
        return None
    relu.input[0] = block.input  # the output of a ReLU, so another ReLU changes nothing
    return changed


def scores_of(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return reference(model, x, [model.graph.output[0].name])[0]


@pytest.mark.parametrize("name", JUDGED)
def test_ablations_are_those_of_the_edited_file(name: str, tmp_path: Path) -> None:
    path, graph, x = judged(name)
    seen = look(path, x, tmp_path, "ablations", "--batch", 2)
    whole = scores_of(graph.model, x)
    for block, parts in enumerate(judged_blocks(graph, seen)):
        for mode in MODES.values():
            model = edited(graph.model, graph, parts, mode)
            found = seen.records.get(f"ablation {block} {mode}")
            if model is None:
                assert found is None and "RESNET_ERROR_UNSUPPORTED" in seen.refused[block, mode], (
                    block,
                    mode,
                )
                continue
            assert found is not None, seen.refused.get((block, mode))
            expected = scores_of(model, x)
            assert relative_error(found.reshape(expected.shape), expected) <= TOLERANCE, (
                block,
                mode,
            )
            assert relative_error(expected, whole) > TOLERANCE, (
                f"block {block}, mode {mode}: the ablation makes no difference to tell"
            )


def swapped(graph: Graph, blocks: list[tuple[str, str, str]], a: int, b: int) -> onnx.ModelProto:
    """Return the model with the constants of two blocks exchanged: layer by layer, batch
    normalisation included."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    constants = {constant.name: constant for constant in model.graph.initializer}
    for one, other in zip(blocks[a][:2], blocks[b][:2]):
        pairs = list(zip(graph.nodes[one].input[1:], graph.nodes[other].input[1:]))
        norms = [graph.makers[graph.response(node)] for node in (one, other)]
        if norms[0].op_type == "BatchNormalization":
            pairs += zip(norms[0].input[1:], norms[1].input[1:])
        for left, right in pairs:
            kept = constants[left].raw_data
            constants[left].raw_data = constants[right].raw_data
            constants[right].raw_data = kept
    return model


@pytest.mark.parametrize("name", ["cifar10-resnet20", "plain20", "resnet32 of another"])
def test_swapped_blocks_compute_in_each_others_place(name: str, tmp_path: Path) -> None:
    path, graph, x = judged(name)
    blocks = look(path, x, tmp_path, "ablations").blocks
    a, b = 1, 2  # of the first stage: all of one shape
    found = observed(path, x, tmp_path, "--skip", a, SWAPPED, b)
    assert relative_error(found, scores_of(swapped(graph, blocks, a, b), x)) <= TOLERANCE
    assert relative_error(found, scores_of(graph.model, x)) > TOLERANCE


def test_ablations_add_up_and_are_undone(tmp_path: Path) -> None:
    path, graph, x = judged("cifar10-resnet20")
    blocks = judged_blocks(graph, look(path, x, tmp_path, "ablations"))
    options = ("--skip", 1, BRANCH_LEFT_OUT, 0, "--skip", 5, SHORTCUT_LEFT_OUT, 0)
    both = observed(path, x, tmp_path, *options)
    once = edited(graph.model, graph, blocks[1], BRANCH_LEFT_OUT)
    expected = scores_of(edited(once, graph, blocks[5], SHORTCUT_LEFT_OUT), x)
    assert relative_error(both, expected) <= TOLERANCE
    undone = observed(path, x, tmp_path, *options, "--skip", 2**32 - 1, 0, 0)
    assert np.array_equal(undone, observed(path, x, tmp_path))


@pytest.mark.parametrize(
    "skip", [(0, SWAPPED, 8), (99, BRANCH_LEFT_OUT, 0), (0, 7, 0), (0, SWAPPED, 99)]
)
def test_what_cannot_be_is_refused(skip: tuple[int, int, int], tmp_path: Path) -> None:
    path, _, x = judged("cifar10-resnet20")
    with pytest.raises(AssertionError, match="RESNET_ERROR_(UNSUPPORTED|ARGUMENT): "):
        look(path, x, tmp_path, "responses", "--skip", *skip)
