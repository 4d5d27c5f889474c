"""Write the files that the examples of the pages use: a photo, and small models of every
kind of output and input.

    python3 tests/docs/small_models.py [FOLDER]    into FOLDER, or here; needs onnx
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
COPIES = {
    "photo.jpg": ROOT / "models" / "samples" / "cat-tabby.jpg",
    "resnet50.onnx": ROOT / "tests" / "models" / "torchvision" / "resnet50_ts_opset17_anysize.onnx",
}
FEATURES = 16
# Name -> channels, height, width, outputs, the operators behind the linear layer.
MODELS = {
    "binary.onnx": (3, 32, 32, 1, []),
    "multi-label.onnx": (3, 32, 32, 3, ["Sigmoid"]),
    "embedding.onnx": (3, 32, 32, 8, ["LpNormalization"]),
    "grey.onnx": (1, 28, 28, 10, []),
    "portrait.onnx": (3, 128, 64, 5, []),
}


def make_model(channels: int, height: int, width: int, outputs: int, ends: list[str]) -> bytes:
    """Return an ONNX file: a convolution, global pooling, a linear layer, and `ends`."""
    random = np.random.default_rng(outputs)
    weights = {
        "filters": random.standard_normal((FEATURES, channels, 3, 3)) / 3,
        "matrix": random.standard_normal((outputs, FEATURES)),
        "bias": np.zeros(outputs),
    }
    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["responses"], strides=[2, 2]),
        helper.make_node("Relu", ["responses"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "matrix", "bias"], ["tensor0"], transB=1),
    ]
    for index, end in enumerate(ends):
        nodes.append(helper.make_node(end, [f"tensor{index}"], [f"tensor{index + 1}"]))
    kind, last = TensorProto.FLOAT, f"tensor{len(ends)}"
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", kind, ["n", channels, height, width])],
        [helper.make_tensor_value_info(last, kind, ["n", outputs])],
        [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_files(folder: Path) -> None:
    for name, source in COPIES.items():
        shutil.copy(source, folder / name)
    for name, arguments in MODELS.items():
        (folder / name).write_bytes(make_model(*arguments))


if __name__ == "__main__":
    write_files(Path(*sys.argv[1:2]))
