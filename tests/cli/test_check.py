"""inspect --check, and the options that choose what to use of a file: --scores,
--size."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import complaint, resnet, resnet_json

MODELS = Path(__file__).resolve().parents[1] / "models"
KERAS = MODELS / "keras" / "resnet50_opset13.onnx"
TWO_OUTPUTS = MODELS / "mlperf" / "resnet50_v1_opset11_nchw.onnx"
ANY_SIZE = MODELS / "torchvision" / "resnet50_dynamo_opset20_anysize.onnx"


def lines_of(result) -> list[tuple[str, str]]:
    """Return severity and message of each diagnostic that --check printed."""
    return [tuple(line.split(maxsplit=1)) for line in result.stdout.decode().splitlines()]


def test_a_good_file_has_notes_and_no_warnings():
    result = resnet("inspect", "--check")
    assert result.returncode == 0 and result.stderr == b""
    assert [severity for severity, _ in lines_of(result)] == ["note"]
    assert "no Softmax" in lines_of(result)[0][1] and "logits" in lines_of(result)[0][1]


def test_a_likely_wrong_preprocessing_is_a_warning_and_the_exit_status():
    result = resnet("inspect", "--check", KERAS)
    assert result.returncode == 1 and result.stderr == b""
    severities = [severity for severity, _ in lines_of(result)]
    assert severities == sorted(severities, reverse=True), "warnings come first"
    assert any(
        severity == "warning" and "keras-caffe" in message for severity, message in lines_of(result)
    )
    remedied = resnet("inspect", "--check", "--preprocess", "keras-caffe", KERAS)
    assert remedied.returncode == 0 and "warning" not in remedied.stdout.decode()


def test_means_in_the_wrong_unit_are_found(tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(MODELS / "resnet8_option_a.onnx")
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key = "resnet.preprocess"
    entry.value = "resize=32 crop=32 order=rgb scale=255 mean=123.7,116.8,103.9 std=58.4,57.1,57.4"
    path = tmp_path / "units.onnx"
    onnx.save(model, path)
    result = resnet("inspect", "--check", path)
    assert result.returncode == 1
    assert any(
        severity == "warning" and "units of pixel / scale" in message
        for severity, message in lines_of(result)
    )
    said = resnet("bench", "--runs", 1, path)
    assert said.returncode == 0 and b"units of pixel / scale" in said.stderr, (
        "every command says so"
    )


def test_a_refused_file_is_said_on_standard_output(tmp_path: Path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(KERAS.read_bytes()[:5000])
    result = resnet("inspect", "--check", path)
    assert result.returncode == 1
    assert lines_of(result)[0][0] == "refused" and str(path) in lines_of(result)[0][1]
    document = resnet_json("inspect", "--check", path, code=1)
    assert document["loads"] is False and document["findings"][0]["severity"] == "refused"


def test_json_has_the_findings():
    for options, code in ((["--check"], 1), ([], 0)):
        document = resnet_json("inspect", *options, KERAS, code=code)
        assert {finding["severity"] for finding in document["findings"]} == {"warning", "note"}
        assert all(finding["message"] for finding in document["findings"])
    assert "ops" not in resnet_json("inspect", "--check", KERAS, code=1)


def test_several_outputs_are_named_and_one_is_chosen():
    message = complaint(resnet("inspect", TWO_OUTPUTS))
    assert "'ArgMax:0'" in message and "'softmax_tensor:0'" in message and "--scores" in message
    document = resnet_json("inspect", "--scores", "softmax_tensor:0", TWO_OUTPUTS)
    assert document["ops"][-1]["kernel"] == "softmax"
    assert "no node computes 'nothing'" in complaint(
        resnet("inspect", "--scores", "nothing", TWO_OUTPUTS), 2
    )


@pytest.mark.parametrize(("text", "size"), [("64", (64, 64)), ("48x80", (48, 80))])
def test_the_input_is_as_large_as_one_likes(text: str, size: tuple[int, int]):
    model = resnet_json("inspect", "--size", text, ANY_SIZE)["model"]
    assert (model["input_height"], model["input_width"]) == size


@pytest.mark.parametrize(
    "text", ["0", "x", "32x", "x32", "32x0", "32x32x32", "-1", "70000", "a", "1000000000000x3"]
)
def test_sizes_that_are_none_are_refused(text: str):
    result = resnet("inspect", "--size", text, ANY_SIZE)
    assert (
        result.returncode == 2 and b"--size '" in result.stderr and b"1 to 65535" in result.stderr
    )


def test_a_size_that_layers_cannot_follow_is_refused_by_name(tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    np = pytest.importorskip("numpy", reason="NumPy is not installed")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w"], ["y"], "classifier"),
    ]
    weights = onnx.numpy_helper.from_array(np.ones((3 * 8 * 8, 5), np.float32), "w")
    graph = helper.make_graph(
        nodes,
        "flat",
        [helper.make_tensor_value_info("x", float32, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", float32, ["n", 5])],
        [weights],
    )
    path = tmp_path / "flat.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path
    )
    assert resnet("inspect", "--quiet", path).returncode == 0
    message = complaint(resnet("inspect", "--size", "16", path))
    assert "node 'classifier' (Gemm, opset 13)" in message and "192" in message and "768" in message
