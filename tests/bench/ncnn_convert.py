"""Convert an ONNX file for ncnn: write NAME.ncnn.param and NAME.ncnn.bin beside it. Needs
onnx and pnnx.

    python tests/bench/ncnn_convert.py NAME.onnx

ncnn has no Slice with steps, which an option-A shortcut needs to take every second pixel.
Max pooling with a 1x1 window and the same stride takes the same pixels.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import onnx
from onnx import helper, numpy_helper


def pool_instead_of_slice(model: onnx.ModelProto) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        if node.op_type == "Slice":
            steps = [int(step) for step in numpy_helper.to_array(constants[node.input[4]])]
            model.graph.node[index].CopyFrom(
                helper.make_node(
                    "MaxPool",
                    [node.input[0]],
                    list(node.output),
                    name=node.name,
                    kernel_shape=[1, 1],
                    strides=steps,
                )
            )


def find_pnnx() -> Path:
    """Return the program's path. Importing pnnx would need PyTorch, the program does
    not."""
    return Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    model = onnx.load(path)
    pool_instead_of_slice(model)
    onnx.save(model, path)
    shape = ",".join(str(d.dim_value) for d in model.graph.input[0].type.tensor_type.shape.dim)
    done = subprocess.run(
        [str(find_pnnx()), path.name, f"inputshape=[{shape}]", "fp16=0"],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    report = done.stdout + done.stderr
    unknown = [line.strip() for line in report.splitlines() if line.startswith("ignore ")]
    if done.returncode != 0 or unknown or not path.with_suffix(".ncnn.param").exists():
        sys.exit(f"pnnx cannot convert {path.name}: {unknown[0] if unknown else report[-300:]}")


if __name__ == "__main__":
    main()
