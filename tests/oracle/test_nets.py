"""Generated residual networks and two trained ones: every op's output and the scores
agree with onnxruntime, the bits do not depend on threads and batches, and the accuracy is
the one that PyTorch measured."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import (
    DATA,
    SHORTCUTS,
    check,
    compare,
    dump,
    expected_tensors,
    images,
    measured,
    need_file,
    onnx,
)

import nets  # isort: skip; found through oracle

pytestmark = pytest.mark.slow

IMAGENET = ("resnet18", "resnet34", "resnet50", "resnet101", "resnext50", "wide50")
CIFAR = [
    ("resnet20", {"shortcut": "A"}),
    ("resnet20", {"shortcut": "B"}),
    ("resnet32", {"shortcut": "A", "keep_norm": False}),
    ("resnet56", {"shortcut": "B", "softmax": True}),
    ("resnet110", {"shortcut": "A"}),
    ("plain20", {}),
    ("plain56", {"keep_norm": False}),
]
ODD = [
    ("resnet18", {"size": 97, "width": 0.25}),
    ("resnet50", {"size": 75, "width": 0.25, "classes": 1001}),
    ("resnet18", {"size": 33, "width": 0.171875, "classes": 7}),
    ("resnet20", {"size": 29, "shortcut": "A", "width": 0.3}),
    ("resnet20", {"size": 45, "shortcut": "B", "classes": 1}),
    ("plain34", {"size": 64, "width": 0.25}),
]
OPSETS = [(opset, head) for opset in (7, 9, 11, 13, 17, 21) for head in nets.HEADS]
# Measured by PyTorch on the same JPEGs.
TRAINED = {
    "cifar10_resnet20_optionA_opset13.onnx": 81.03,
    "cifar10_resnet32_optionA_opset13.onnx": 82.56,
    "cifar_resnet20_dynamo.onnx": 81.03,
}  # the first one's weights, in a file beside


def save(
    folder: Path, kind: str, **options: object
) -> tuple[Path, onnx.ModelProto, list[nets.Block]]:
    model, blocks = nets.generate(kind, nets.Options(**options))
    path = folder / f"{kind}.onnx"
    onnx.save(model, path)
    return path, model, blocks


def input_shape(model: onnx.ModelProto, batch: int) -> tuple[int, ...]:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    return (batch, *(dim.dim_value for dim in dims[1:]))


def check_blocks(found: oracle.Dump, blocks: list[nets.Block]) -> None:
    expected = [(SHORTCUTS[block.shortcut], block.output) for block in blocks]
    assert [(kind, tensor) for _, kind, tensor in found.blocks] == expected


def check_net(folder: Path, kind: str, batch: int, session_batch: int, **options: object) -> float:
    path, model, blocks = save(folder, kind, **options)
    x = images(input_shape(model, batch))
    found = dump(path, x, threads=2, batch=session_batch)
    check_blocks(found, blocks)
    return compare(model, found, x, [block.output for block in blocks])


@pytest.mark.parametrize("kind", IMAGENET)
def test_imagenet_net_agrees_with_onnxruntime(
    tmp_path: Path, capsys: pytest.CaptureFixture, kind: str
) -> None:
    path, model, blocks = save(tmp_path, kind, seed=1)
    x = images(input_shape(model, 3))
    expected: dict[str, np.ndarray] = {}
    for batch in (3, 1):
        found = dump(path, x[:batch], threads=2, batch=batch)
        check_blocks(found, blocks)
        expected = expected or expected_tensors(model, found, x)
        first = {name: value[:batch] for name, value in expected.items()}
        error = check(found, first, [block.output for block in blocks])
        measured(
            capsys,
            f"{kind}, batch {batch}: {len(found.tensors)} tensors, "
            f"largest relative error {error:.1e}",
        )
    path.unlink()  # pytest keeps its folders, and these files have 50 to 300 MB


@pytest.mark.parametrize(("kind", "options"), CIFAR, ids=str)
def test_cifar_net_agrees_with_onnxruntime(tmp_path: Path, kind: str, options: dict) -> None:
    check_net(tmp_path, kind, 3, 2, seed=2, **options)


@pytest.mark.parametrize(("kind", "options"), ODD, ids=str)
def test_odd_size_agrees_with_onnxruntime(tmp_path: Path, kind: str, options: dict) -> None:
    check_net(tmp_path, kind, 2, 2, seed=3, **options)


@pytest.mark.parametrize(("opset", "head"), OPSETS)
def test_opset_and_head_agree_with_onnxruntime(tmp_path: Path, opset: int, head: str) -> None:
    check_net(tmp_path, "resnet8", 2, 2, seed=4, opset=opset, head=head)


@pytest.mark.parametrize("keep_norm", [True, False])
def test_fixed_batch_in_the_file_is_no_limit(tmp_path: Path, keep_norm: bool) -> None:
    """A file exported for one image runs three: the batch is the session's."""
    path, model, _ = save(tmp_path, "resnet8", batch=1, keep_norm=keep_norm)
    x = images(input_shape(model, 3))
    found = dump(path, x, batch=3)
    one_by_one = [oracle.reference(model, x[i : i + 1], ["logits"])[0] for i in range(3)]
    assert oracle.relative_error(found.scores, np.concatenate(one_by_one)) <= oracle.TOLERANCE


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("resnet50", {"size": 96, "width": 0.5}),
        ("resnext50", {"size": 64, "width": 0.5}),
        ("resnet18", {"size": 113}),
        ("resnet20", {"shortcut": "A"}),
        ("resnet20", {"shortcut": "B"}),
    ],
    ids=str,
)
def test_bits_do_not_depend_on_threads_or_batches(tmp_path: Path, kind: str, options: dict) -> None:
    path, model, _ = save(tmp_path, kind, **options)
    x = images(input_shape(model, 8))
    hashes: dict[str, list[str]] = {}
    for threads in (1, 2, 4):
        for batch in (1, 3, 8):
            scores = dump(path, x, threads, batch, scores_only=True).scores
            hashes.setdefault(digest(scores), []).append(f"{threads} threads, batch {batch}")
    assert len(hashes) == 1, hashes
    four = dump(path, x[:4], batch=4, scores_only=True).scores
    ones = [dump(path, x[i : i + 1], scores_only=True).scores for i in range(4)]
    assert digest(four) == digest(np.concatenate(ones))


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def test_responses_do_not_depend_on_threads(tmp_path: Path) -> None:
    path, model, _ = save(tmp_path, "resnet50", size=64, width=0.5)
    x = images(input_shape(model, 2))
    one, two = (dump(path, x, threads=threads, batch=2) for threads in (1, 2))
    differing = [
        name for name in one.tensors if digest(one.tensors[name]) != digest(two.tensors[name])
    ]
    assert one.tensors.keys() == two.tensors.keys()
    assert not differing


@pytest.mark.parametrize("per_tensor", [False, True], ids=["one_file", "a_file_for_each"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_weights_in_other_files_give_the_same_bits(
    tmp_path: Path, per_tensor: bool, half: bool
) -> None:
    path, model, _ = save(tmp_path, "resnet8", seed=6)
    if half:
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, path)
    x = images(input_shape(model, 2))
    inside = dump(path, x)
    onnx.save(
        model,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=not per_tensor,
        location=None if per_tensor else "weights.bin",
        size_threshold=0,
    )
    named = {
        entry.value
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert len(named) == (len(model.graph.initializer) if per_tensor else 1)
    outside = dump(path, x, options=("--external-data",))
    assert digest(inside.scores) == digest(outside.scores)
    assert {name: digest(v) for name, v in inside.tensors.items()} == {
        n: digest(v) for n, v in outside.tensors.items()
    }


def external_files(model: Path) -> list[Path]:
    return sorted(model.parent.glob(f"{model.name}.data"))


@pytest.mark.parametrize("name", TRAINED)
def test_trained_net_agrees_with_onnxruntime(tmp_path: Path, name: str) -> None:
    source = need_file(DATA / "models" / name)
    for file in (source, *external_files(source)):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / name
    model = onnx.load(path)
    # onnxruntime keeps to one that is fixed
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 3
    x = images(input_shape(model, batch))
    found = dump(path, x, batch=batch, options=("--external-data",))
    kinds = [kind for _, kind, _ in found.blocks]
    assert kinds.count(SHORTCUTS["option_a"]) == 2
    assert kinds.count(SHORTCUTS["identity"]) == len(kinds) - 2
    compare(model, found, x, [tensor for _, _, tensor in found.blocks])


@pytest.mark.parametrize(("name", "top1"), TRAINED.items())
def test_trained_net_has_the_accuracy_that_pytorch_measured(
    capsys: pytest.CaptureFixture, name: str, top1: float
) -> None:
    program = oracle.BUILD / "resnet"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    model, data = (
        need_file(DATA / "models" / name),
        need_file(DATA / "data" / "cifar10-jpeg-test.zip"),
    )
    options = [
        "--external-data",
        "--preprocess",
        "imagenet",
        "--resize",
        "none",
        "--crop",
        "none",
        "--json",
    ]
    command = [
        program,
        "eval",
        model,
        "--data",
        data,
        *options,
        "--threads",
        min(2, os.cpu_count() or 1),
    ]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    measured(capsys, f"{name}: top-1 {result['top1']}, {result['images_per_second']:.0f} images/s")
    assert result["images"] == 10000
    assert percent(result["top1"]) == pytest.approx(top1, abs=0.02)


def percent(value: float) -> float:
    return 100 * value if value <= 1 else value
