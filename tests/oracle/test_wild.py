"""Small models of many exporters (tests/models, made by the scripts in
tests/models/make). Each loads and agrees with onnxruntime, block by block, alone, in a
batch of three and with XNNPACK's convolutions alone, or is refused for its defect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import (
    ROOT,
    SHORTCUTS,
    TOLERANCE,
    dump,
    images,
    measured,
    onnx,
    relative_error,
    run_dump,
)

MODELS = ROOT / "tests" / "models"
LARGEST = 200_000  # bytes, with external data
OLDEST_OPSET = 7  # of onnxruntime
WARNING = 1  # enum resnet_severity
ENTRIES = json.loads((MODELS / "index.json").read_text())
LOADED = [entry for entry in ENTRIES if not entry["refused"]]
REFUSED = [entry for entry in ENTRIES if entry["refused"]]


def name_of(entry: dict) -> str:
    return " ".join([entry["file"], *(f"{key}={value}" for key, value in entry["options"].items())])


def options_of(entry: dict) -> list[object]:
    """Return the options for `dump`."""
    options = entry["options"]
    words: list[object] = ["--external-data"] if options.get("external_data") else []
    if "output" in options:
        words += ["--output", options["output"]]
    if "size" in options:
        words += ["--height", options["size"][0], "--width", options["size"][1]]
    return words


def some_images(entry: dict, count: int) -> np.ndarray:
    channels = entry.get("channels", 3)
    return images((count, channels, *entry["options"].get("size", entry["size"])), seed=7)


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same model in float32: float16 weights keep their values, casts to
    float16 go away."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for tensor in wide.graph.initializer:
        if tensor.data_type == half:
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(
                    onnx.numpy_helper.to_array(tensor).astype(np.float32), tensor.name
                )
            )
    for node in wide.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = single
            if attribute.HasField("t") and attribute.t.data_type == half:
                value = onnx.numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(value))
    for value in [*wide.graph.input, *wide.graph.output]:
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type = single
    del wide.graph.value_info[:]
    return wide


def modernise(model: onnx.ModelProto) -> None:
    """Rewrite what opsets before 7 spell otherwise, for onnxruntime: broadcast operands,
    dropped attributes."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        given = {
            attribute.name: onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
        }
        if node.op_type in ("Add", "Mul") and given.get("broadcast"):
            operand = onnx.numpy_helper.to_array(weights[node.input[1]])
            stretched = operand.reshape(operand.shape + (1,) * (4 - given["axis"] - operand.ndim))
            weights[node.input[1]].CopyFrom(onnx.numpy_helper.from_array(stretched, node.input[1]))
        if node.op_type == "Reshape" and "shape" in given:
            node.input.append(f"{node.name} shape")
            shape = np.array(given["shape"], np.int64)
            model.graph.initializer.append(onnx.numpy_helper.from_array(shape, node.input[1]))
        gone = (
            ("broadcast", "axis", "shape")
            if node.op_type in ("Add", "Mul", "Reshape", "Gemm")
            else ()
        )
        drop_attributes(node, ("consumed_inputs", "is_test", *gone))
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = 4
    model.opset_import[0].version = OLDEST_OPSET


def drop_attributes(node: onnx.NodeProto, names: tuple[str, ...]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


def judged(entry: dict) -> onnx.ModelProto:
    """Return what onnxruntime runs: the file, or an equivalent where it cannot run that
    or would do something else."""
    model = onnx.load(MODELS / entry["file"])
    if entry["judge"] == "widened":
        return widen(model)
    if entry["judge"] == "flattened":
        gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
        flatten = onnx.helper.make_node("Flatten", [gemm.input[0]], ["flattened"], name="flatten")
        model.graph.node.insert(list(model.graph.node).index(gemm), flatten)
        gemm.input[0] = "flattened"
    # MXNet wrote spatial=0 and meant 1, but onnxruntime does what 0 means
    for node in model.graph.node:
        drop_attributes(node, ("spatial",))
    if next(one.version for one in model.opset_import if not one.domain) < OLDEST_OPSET:
        modernise(model)
    return model


def reference(entry: dict, x: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """Return onnxruntime's values for images x (n,c,h,w), in sub-batches where the file's
    batch is fixed."""
    model = judged(entry)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if "size" in entry["options"]:  # the graph gets the size that the library gets
        for axis, value in zip(
            (1, 2) if entry["layout"] == "NHWC" else (2, 3), entry["options"]["size"], strict=True
        ):
            dims[axis].dim_value = value
        del model.graph.value_info[:]
    given = x.transpose(0, 2, 3, 1) if entry["layout"] == "NHWC" else x
    step = entry["batch"] or len(x)
    parts: list[list[np.ndarray]] = []
    for at in range(0, len(x), step):
        sub_batch = given[at : at + step]
        filled = np.concatenate([sub_batch, given[:1].repeat(step - len(sub_batch), 0)])
        parts.append(
            [value[: len(sub_batch)] for value in oracle.reference(model, filled, tensors)]
        )
    return {
        name: np.concatenate(values)
        for name, values in zip(tensors, zip(*parts, strict=True), strict=True)
    }


def as_library(value: np.ndarray, like: np.ndarray, name: str) -> np.ndarray:
    """Return a tensor of the file, in either layout, in the library's layout
    (n,h,w,c)."""
    if value.ndim == 3:  # one of the image's two sides is left
        value = np.expand_dims(value, 3 if like.shape[2] == 1 else 2)
    if value.ndim == 4 and sum(size > 1 for size in value.shape[1:]) > 1:
        planar = value.transpose(0, 2, 3, 1)
        fits = [one for one in (planar, value) if one.shape == like.shape]
        assert fits, f"{name}: {value.shape} in the file, {like.shape} in the library"
        assert len(fits) == 1, f"{name}: {value.shape} is ambiguous: give the file another size"
        return fits[0]
    assert value.size == like.size, (
        f"{name}: {value.shape} in the file, {like.shape} in the library"
    )
    return value.reshape(like.shape)


def check_findings(entry: dict, found: oracle.Dump) -> None:
    """Check that each expected message is there, and no other warning."""
    for part in entry["findings"]:
        assert any(part in message for _, message in found.findings), (
            f"nothing says {part!r}: {found.findings}"
        )
    for severity, message in found.findings:
        assert severity < WARNING or any(part in message for part in entry["findings"]), message


def largest_error(entry: dict, found: oracle.Dump, x: np.ndarray) -> float:
    """Compare scores and every tensor that the library computed with onnxruntime's."""
    scores = (
        entry["options"].get("output")
        or onnx.load(MODELS / entry["file"], load_external_data=False).graph.output[0].name
    )
    expected = reference(entry, x, list(dict.fromkeys([scores, *found.tensors])))
    errors = {
        "the scores": relative_error(found.scores, expected[scores].reshape(found.scores.shape))
    }
    for name, value in found.tensors.items():
        errors[name] = relative_error(value, as_library(expected[name], value, name))
    wrong = {name: error for name, error in errors.items() if not error <= TOLERANCE}
    assert not wrong, (
        f"first of {len(wrong)} of {len(errors)} tensors that differ: {next(iter(wrong.items()))}"
    )
    return max(errors.values())


@pytest.mark.parametrize("entry", LOADED, ids=name_of)
def test_file_of_the_wild_agrees_with_onnxruntime(
    tmp_path: Path, capsys: pytest.CaptureFixture, entry: dict
) -> None:
    path = MODELS / entry["file"]
    errors = []
    for batch in (1, 3):
        x = some_images(entry, batch)
        found = dump(path, x, batch=batch, folder=tmp_path, options=tuple(options_of(entry)))
        assert [kind for _, kind, _ in found.blocks] == [
            SHORTCUTS[kind] for kind in entry["blocks"]
        ]
        assert all(tensor in found.tensors for _, _, tensor in found.blocks), (
            "the output of a block was not observed"
        )
        assert found.depth == entry["depth"]
        check_findings(entry, found)
        assert np.ptp(found.scores, axis=1).min() > 0, "all classes score alike"
        errors.append(largest_error(entry, found, x))
    options = (*options_of(entry), *oracle.XNNPACK)
    by_xnnpack = dump(path, x, batch=3, folder=tmp_path, options=options)
    assert relative_error(by_xnnpack.scores, found.scores) <= TOLERANCE
    errors.append(largest_error(entry, by_xnnpack, x))
    measured(
        capsys,
        f"wild | {entry['source']} | {entry['architecture']} | {entry['file']}"
        f" | {len(entry['blocks'])} blocks"
        f" | error {errors[0]:.1e} at batch 1, {errors[1]:.1e} at batch 3,"
        f" {errors[2]:.1e} with XNNPACK alone",
    )


@pytest.mark.parametrize("entry", REFUSED, ids=name_of)
def test_file_of_the_wild_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture, entry: dict
) -> None:
    done, _ = run_dump(MODELS / entry["file"], some_images(entry, 1), tmp_path, options_of(entry))
    assert done.returncode == 1, "it was not refused"
    assert entry["refused"]["status"] in done.stderr, done.stderr
    for part in entry["refused"]["message"]:
        assert part in done.stderr, f"{part!r} is not in: {done.stderr}"
    measured(
        capsys,
        f"wild | {entry['source']} | {entry['architecture']} | {entry['file']}"
        f" | refused: {done.stderr.strip()}",
    )


def test_index_names_every_file() -> None:
    files = sorted(str(path.relative_to(MODELS)) for path in MODELS.glob("*/*.onnx"))
    assert files == sorted({entry["file"] for entry in ENTRIES})


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_file_is_small(entry: dict) -> None:
    path = MODELS / entry["file"]
    beside = path.with_name(path.name + ".data")
    size = path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    assert size < LARGEST


def test_readme_lists_every_file() -> None:
    """tests/models/make/table.py writes its tables."""
    text = (MODELS / "README.md").read_text()
    missing = [entry["file"] for entry in ENTRIES if f"| {Path(entry['file']).name} |" not in text]
    assert not missing, "run tests/models/make/table.py"


# Operators of the full-size models, exported once: the small ones must have the same.
COUNTS = {
    "torchvision/resnet50_ts_opset17.onnx": (
        "Conv 53, Relu 49, Add 16, MaxPool 1, GlobalAveragePool 1, Flatten 1, Gemm 1"
    ),
    "timm/resnet50d_ts_opset11.onnx": (
        "Conv 55, Relu 51, Add 16, MaxPool 1, AveragePool 3, GlobalAveragePool 1, Gemm 1"
    ),
    "timm/seresnet50_ts_opset11.onnx": (
        "Conv 85, Relu 65, Add 16, ReduceMean 16, Sigmoid 16, Mul 16, Gemm 1"
    ),
    "timm/ecaresnet50d_ts_opset11.onnx": (
        "Conv 71, Relu 51, Reshape 32, Expand 16, Sigmoid 16, Mul 16, AveragePool 3"
    ),
    "timm/resnetblur50_ts_opset17.onnx": (
        "Conv 57, Pad 4, Cast 4, Concat 4, ConstantOfShape 4, Reshape 8, Slice 4"
    ),
    "timm/resnetv2_50_ts_opset17.onnx": ("Conv 54, BatchNormalization 17, Relu 49, Add 16, Gemm 0"),
    "keras/resnet50v2_opset12.onnx": (
        "Conv 53, Mul 17, Add 34, Relu 49, MaxPool 4, Transpose 1, Squeeze 1, MatMul 1"
    ),
}


@pytest.mark.parametrize("file", COUNTS)
def test_small_file_has_the_operators_of_the_full_net(file: str) -> None:
    kinds = [node.op_type for node in onnx.load(MODELS / file).graph.node]
    wanted = {kind: int(count) for kind, count in map(str.split, COUNTS[file].split(", "))}
    assert {kind: kinds.count(kind) for kind in wanted} == wanted
