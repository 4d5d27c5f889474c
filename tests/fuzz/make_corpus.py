#!/usr/bin/env python3
"""Make the fuzzers' seeds: models in many spellings, a few kilobytes each, in corpus and,
packed, in corpus_gzip; small images in corpus_image. The seeds of corpus_plan are made
with a built library: see CMakeLists.txt.

    python tests/fuzz/make_corpus.py

The files are committed; this script makes the same bytes again.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import nets  # noqa: E402
import random_graphs  # noqa: E402

MAX_BYTES = 10_000
# Numbers of small graphs that open. Together they have all operators, modes, layouts and
# opsets of random_graphs.
RANDOM_GRAPHS = (
    12,
    14,
    15,
    22,
    24,
    32,
    35,
    38,
    39,
    40,
    42,
    54,
    68,
    73,
    80,
    86,
    96,
    98,
    112,
    115,
    118,
    166,
    171,
    205,
    307,
)
BASE = {"width": 0.0625, "size": 8, "classes": 4}
SPELLINGS = {
    "option_a": {"shortcut": "A"},
    "option_b": {"shortcut": "B", "keep_norm": False},
    "opset_7": {"opset": 7, "head": "squeeze"},
    "opset_9": {"opset": 9, "head": "shape"},
    "opset_10": {"opset": 10, "head": "reshape"},
    "opset_11": {"opset": 11, "head": "matmul"},
    "opset_13": {"opset": 13, "head": "average", "batch": 1},
    "opset_17": {"opset": 17, "head": "shape", "softmax": True},
    "opset_21": {"opset": 21, "head": "squeeze", "shortcut": "B"},
}


def described(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add the metadata that the library reads."""
    for key, value in {
        "resnet.name": "seed",
        "resnet.labels": "cat\ndog\nship\ntruck",
        "resnet.preprocess": "resize=8 crop=8 order=rgb scale=255 mean=0.5,0.5,0.5 "
        "std=0.25,0.25,0.25",
    }.items():
        model.metadata_props.add(key=key, value=value)
    return model


def as_float_data(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).ravel().tolist()
            tensor.ClearField("raw_data")
            tensor.float_data.extend(values)
    return model


def as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            halves = onnx.numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(onnx.numpy_helper.from_array(halves, tensor.name))
    return model


def large_weights(constant: bool = False) -> onnx.ModelProto:
    """Return a model of one layer with more than 4096 bytes of weights: from that size on
    they are read into a separate block."""
    weights = numpy_helper.from_array(
        np.random.default_rng(1).standard_normal((43, 3, 3, 3)).astype(np.float32), "w"
    )
    nodes = [helper.make_node("Constant", [], ["w"], value=weights)] if constant else []
    nodes += [
        helper.make_node("Conv", ["input", "w"], ["c"], name="conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["logits"], name="flatten"),
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ("N", 3, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [] if constant else [weights],
    )
    return helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", 13)])


def folded_nodes() -> list[onnx.NodeProto]:
    """Return every operator that is computed at loading, and an expanded gate."""
    chain = ["w", *(f"k{i}" for i in range(9)), "v"]
    unary = ["Exp", "Neg", "Abs", "Sqrt", "Reciprocal", "Floor", "Ceil", "Identity", "Neg", "Abs"]
    node = helper.make_node
    return [
        *(node(kind, [a], [b], name=b) for kind, a, b in zip(unary, chain, chain[1:])),
        node("Pow", ["v", "two"], ["v2"]),
        node("Max", ["v2", "one"], ["v3"]),
        node("Min", ["v3", "two"], ["v4"]),
        node("Tile", ["v4", "times"], ["row"]),
        node("Reshape", ["row", "column"], ["factor"]),
        node("Mul", ["input", "factor"], ["x"], name="scale"),
        node("GlobalAveragePool", ["x"], ["mean"], name="mean"),
        node("Sigmoid", ["mean"], ["gate"], name="gate"),
        node("Expand", ["gate", "size"], ["gates"], name="expand"),
        node("Mul", ["x", "gates"], ["y"], name="gated"),
        node("GlobalAveragePool", ["y"], ["p"], name="pool"),
        node("Shape", ["p"], ["s"]),
        node("Range", ["nought", "three", "step"], ["r"]),
        node("Gather", ["r", "step"], ["index"], axis=0),
        node("Gather", ["s", "index"], ["c"], axis=0),
        node("Cast", ["c"], ["wide"], to=TensorProto.FLOAT),
        node("Div", ["wide", "one"], ["quotient"]),
        node("Cast", ["quotient"], ["narrow"], to=TensorProto.INT64),
        node("Add", ["narrow", "step"], ["more"]),
        node("Sub", ["more", "step"], ["same"]),
        node("Unsqueeze", ["same", "axis"], ["last"]),
        node("Slice", ["s", "from", "to"], ["first"]),
        node("Concat", ["first", "last"], ["target"], axis=0),
        node("Reshape", ["p", "target"], ["logits"], name="reshape"),
    ]


def folded_constants() -> list[onnx.TensorProto]:
    def floats(name: str, value: float) -> onnx.TensorProto:
        return numpy_helper.from_array(np.float32(value), name)

    def ints(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(
            np.array(values if len(values) > 1 else values[0], np.int64), name
        )

    constants = [
        floats("w", 0.5),
        floats("one", 1),
        floats("two", 2),
        ints("times", 3),
        ints("column", 1, 3, 1, 1),
        ints("size", 1, 3, 8, 8),
        ints("nought", 0),
        ints("three", 3),
        ints("step", 1),
        *(
            numpy_helper.from_array(np.array([value], np.int64), name)
            for name, value in (("axis", 0), ("from", 0), ("to", 1))
        ),
    ]
    for constant in (constants[0], constants[3]):
        constant.dims[:] = [1]
    return constants


def folded() -> onnx.ModelProto:
    """Return a model whose sizes and factors must be computed first, by operators that
    only take constants, and whose gate is expanded to the image's size."""
    graph = helper.make_graph(
        folded_nodes(),
        "folded",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ("N", 3, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        folded_constants(),
    )
    return helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", 13)])


def seeds() -> dict[str, bytes]:
    files = {}
    for name, options in SPELLINGS.items():
        files[f"{name}.onnx"] = nets.generate("resnet8", nets.Options(**BASE, **options))[
            0
        ].SerializeToString()
    files["plain.onnx"] = described(
        nets.generate("plain8", nets.Options(**BASE))[0]
    ).SerializeToString()
    files["float_data.onnx"] = as_float_data(
        nets.generate("plain8", nets.Options(**BASE))[0]
    ).SerializeToString()
    files["float16.onnx"] = as_float16(
        nets.generate("plain8", nets.Options(**BASE))[0]
    ).SerializeToString()
    files["large_weights.onnx"] = large_weights().SerializeToString()
    files["large_constant.onnx"] = large_weights(constant=True).SerializeToString()
    files["large_float_data.onnx"] = as_float_data(large_weights()).SerializeToString()
    files["folded.onnx"] = folded().SerializeToString()
    for number in RANDOM_GRAPHS:
        files[f"random_{number}.onnx"] = random_graphs.random_graph(
            number
        ).model.SerializeToString()
    return files


def packed(models: dict[str, bytes]) -> dict[str, bytes]:
    """Compress with gzip: at several levels, in two members, with optional header
    fields."""
    model = models["option_a.onnx"]
    named = io.BytesIO()
    with gzip.GzipFile("net.onnx", "wb", 9, named, mtime=0) as file:
        file.write(model)
    huffman = zlib.compressobj(9, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    return {
        "packed.onnx.gz": gzip.compress(model, mtime=0),
        "stored.onnx.gz": gzip.compress(models["plain.onnx"], 0, mtime=0),
        "large_weights.onnx.gz": gzip.compress(models["large_weights.onnx"], mtime=0),
        "members.onnx.gz": gzip.compress(model[:1000], mtime=0)
        + gzip.compress(model[1000:], 1, mtime=0),
        "named.onnx.gz": named.getvalue(),
        "huffman.onnx.gz": huffman.compress(model) + huffman.flush(),
    }


def test_image(mode: str, width: int = 13, height: int = 9) -> Image.Image:
    """Return waves and a little noise."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack(
        [127 + 120 * np.sin(x / 3 + c) * np.cos(y / (c + 2)) for c in range(4)], axis=-1
    )
    pixels = np.clip(pixels + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)
    colour = Image.fromarray(pixels[..., :3])
    if mode in ("RGBA", "CMYK"):
        return Image.merge(
            mode, [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(4)]
        )
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return colour.quantize(16) if mode == "P" else colour.convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def images() -> dict[str, bytes]:
    files = {
        f"png_{mode.replace(';', '')}.png": saved(test_image(mode), "PNG")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    }
    files["png_turned.png"] = saved(test_image("RGB"), "PNG", exif=turned(6))
    files["jpeg_grey.jpg"] = saved(test_image("L"), "JPEG")
    files["jpeg_420.jpg"] = saved(test_image("RGB"), "JPEG", quality=60, exif=turned(3))
    files["jpeg_444.jpg"] = saved(test_image("RGB"), "JPEG", subsampling=0)
    files["jpeg_progressive.jpg"] = saved(test_image("RGB"), "JPEG", progressive=True, quality=50)
    files["jpeg_restart.jpg"] = saved(
        test_image("RGB", 40, 17), "JPEG", restart_marker_blocks=1, quality=30
    )
    files["jpeg_cmyk.jpg"] = saved(test_image("CMYK"), "JPEG")
    return files


def write(folder: str, files: dict[str, bytes]) -> None:
    (HERE / folder).mkdir(exist_ok=True)
    for name, content in files.items():
        assert len(content) < MAX_BYTES, f"{name} has {len(content)} bytes"
        (HERE / folder / name).write_bytes(content)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes in {folder}")


def main() -> None:
    models = seeds()
    write("corpus", models)
    write("corpus_gzip", packed(models))
    write("corpus_image", images())


if __name__ == "__main__":
    main()
