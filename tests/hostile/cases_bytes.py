"""Hostile bytes: no model, wire format, nesting, bombs, metadata, gzip, the file
system."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
import wire
from corpus import Content, case, good, line, raw_model, special, table

# ---- 1: empty, too large, no model at all

line(1)


@case("ERROR_FORMAT", "empty")
def empty() -> Content:
    return b""


@case("ERROR_LIMIT", "max_file_bytes", max_file_bytes=1000)
def over_the_size_cap() -> Content:
    return good()


@case("ERROR_FORMAT", "", kind="prefixes")
def cut_off_at_any_byte() -> Content:
    return good()


@case("ERROR_FORMAT", "", kind="prefixes", suffix=".onnx.gz")
def gzip_cut_off_at_any_byte() -> Content:
    return gzip.compress(good().SerializeToString(), mtime=0)


@case("ERROR_FORMAT", "")
def text() -> Content:
    return b"this is a letter and no model\n" * 20


@case("ERROR_FORMAT", "")
def random_bytes() -> Content:
    return np.random.default_rng(0).bytes(5000)


@case("ERROR_FORMAT", "graph")
def no_graph() -> Content:
    return wire.number(1, 7) + wire.message(wire.MODEL_OPSET, wire.number(2, 13))


@case("ERROR_FORMAT", "opset")
def no_opset() -> Content:
    model = good()
    del model.opset_import[:]
    return model


# ---- 2: nesting

line(2)


@case("ERROR_LIMIT", "nest")
def graphs_nested_100000_deep() -> Content:
    fields = [wire.GRAPH_NODE, wire.NODE_ATTRIBUTE, wire.ATTRIBUTE_GRAPH]
    return raw_model(wire.nested(fields, wire.message(wire.GRAPH_NAME, "deep"), 100000))


@case("ERROR_LIMIT", "nest")
def types_nested_100000_deep() -> Content:
    """ValueInfoProto.type (2), then TypeProto.sequence_type (4).elem_type (1),
    repeated."""
    value_type = wire.message(2, wire.nested([4, 1], wire.number(1, 1), 100000))
    return raw_model(wire.message(wire.GRAPH_INPUT, wire.message(1, "input"), value_type))


@case("ERROR_FORMAT", "group")
def groups_nested_100000_deep() -> Content:
    return raw_model(
        wire.tag(100, wire.START_GROUP) * 100000 + wire.tag(100, wire.END_GROUP) * 100000
    )


# ---- 3: wire format

line(3)


@case("ERROR_FORMAT", "varint")
def overlong_varint() -> Content:
    return wire.tag(1, wire.VARINT) + b"\x80" * 10 + b"\x01" + good().SerializeToString()


@case("ERROR_FORMAT", "")
def varint_without_an_end() -> Content:
    return good().SerializeToString() + wire.tag(1, wire.VARINT) + b"\xff" * 9


@case("ERROR_FORMAT", "wire type")
def graph_as_number() -> Content:
    return wire.number(wire.MODEL_GRAPH, 5) + good().SerializeToString()


@case("ERROR_FORMAT", "wire type")
def wire_type_7() -> Content:
    return wire.tag(1, 7) + good().SerializeToString()


@case("ERROR_FORMAT", "field")
def tag_0() -> Content:
    return b"\x00\x00" + good().SerializeToString()


@case("ERROR_FORMAT", "")
def length_beyond_the_end() -> Content:
    return (
        wire.number(1, 7) + wire.tag(wire.MODEL_GRAPH, wire.BYTES) + wire.varint(2**31) + b"short"
    )


@case("ERROR_FORMAT", "")
def length_of_2_to_64() -> Content:
    return (
        wire.number(1, 7)
        + wire.tag(wire.MODEL_GRAPH, wire.BYTES)
        + wire.varint(2**64 - 1)
        + b"short"
    )


# ---- 4, 5: small files that unpack into large memory

line(4)


@case("ERROR_LIMIT", "field")
def millions_of_unknown_fields() -> Content:
    return good().SerializeToString() + wire.number(15, 0) * 3_000_000


@case("ERROR_LIMIT", "")
def millions_of_unknown_fields_in_a_node() -> Content:
    return raw_model(
        wire.message(
            wire.GRAPH_NODE, wire.message(wire.NODE_OP, "Relu"), wire.number(15, 0) * 3_000_000
        )
    )


@case("ERROR_LIMIT", "")
def millions_of_empty_nodes() -> Content:
    return raw_model(wire.message(wire.GRAPH_NODE) * 3_000_000)


@case("ERROR_LIMIT", "")
def millions_of_empty_initializers() -> Content:
    return raw_model(wire.message(wire.GRAPH_INITIALIZER) * 3_000_000)


line(5)


@case("ERROR_LIMIT", "")
def packed_varints_in_a_tensor() -> Content:
    values = wire.message(wire.TENSOR_INT64, bytes(12_000_000))
    dims = wire.number(wire.TENSOR_DIMS, 12_000_000) + wire.number(wire.TENSOR_TYPE, 7)
    return raw_model(
        wire.message(wire.GRAPH_INITIALIZER, dims, values, wire.message(wire.TENSOR_NAME, "shape"))
    )


@case("ERROR_LIMIT", "")
def packed_varints_in_an_attribute() -> Content:
    ints = wire.message(wire.ATTRIBUTE_INTS, bytes(12_000_000))
    attribute = wire.message(wire.NODE_ATTRIBUTE, wire.message(wire.ATTRIBUTE_NAME, "pads"), ints)
    return raw_model(wire.message(wire.GRAPH_NODE, wire.message(wire.NODE_OP, "Conv"), attribute))


@case("ERROR_LIMIT", "")
def packed_dims() -> Content:
    dims = wire.message(wire.TENSOR_DIMS, b"\x01" * 12_000_000)
    return raw_model(
        wire.message(wire.GRAPH_INITIALIZER, dims, wire.message(wire.TENSOR_NAME, "w"))
    )


# ---- metadata

line(None)


def metadata(entry: tuple[str, str]) -> onnx.ModelProto:
    model = good()
    model.metadata_props.add(key=entry[0], value=entry[1])
    return model


table(
    "ERROR_FORMAT",
    {
        "labels_too_few": ("resnet.labels", ("resnet.labels", "cat\ndog")),
        "preprocess_of_nonsense": ("resnet.preprocess", ("resnet.preprocess", "\0\x01garbage")),
        "preprocess_std_0": (
            "resnet.preprocess",
            ("resnet.preprocess", "resize=32 crop=32 order=rgb scale=255 mean=0,0,0 std=0,1,1"),
        ),
        "preprocess_mean_nan": (
            "resnet.preprocess",
            ("resnet.preprocess", "resize=32 crop=32 order=rgb scale=255 mean=nan,0,0 std=1,1,1"),
        ),
        "preprocess_scale_0": (
            "resnet.preprocess",
            ("resnet.preprocess", "resize=32 crop=32 order=rgb scale=0 mean=0,0,0 std=1,1,1"),
        ),
    },
    metadata,
)


# ---- 21 and the file system

line(21)


@case("ERROR_LIMIT", "", suffix=".onnx.gz")
def gzip_bomb() -> Content:
    """A quarter of a gigabyte of zeros in 256 kB, after the start of a model."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [
        packer.compress(
            wire.number(1, 7) + wire.tag(wire.MODEL_GRAPH, wire.BYTES) + wire.varint(2**28)
        )
    ]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(256)]
    return b"".join([*parts, packer.flush()])


@case("ERROR_LIMIT", "max_file_bytes", suffix=".onnx.gz", max_file_bytes=3000)
def gzip_over_the_size_cap() -> Content:
    """The packed file is under the cap; its content is not."""
    return gzip.compress(bytes(100_000), mtime=0)


@case("ERROR_FORMAT", "gzip", suffix=".onnx.gz")
def gzip_truncated() -> Content:
    return gzip.compress(good().SerializeToString(), mtime=0)[:-20]


@case("ERROR_FORMAT", "gzip", suffix=".onnx.gz")
def gzip_with_a_wrong_checksum() -> Content:
    packed = gzip.compress(good().SerializeToString(), mtime=0)
    return packed[:-8] + struct.pack("<I", 1) + packed[-4:]


@case("ERROR_FORMAT", "gzip", suffix=".onnx.gz")
def gzip_of_garbage() -> Content:
    return b"\x1f\x8b\x08\x00" + np.random.default_rng(1).bytes(300)


@case("ERROR_FORMAT", "empty", suffix=".onnx.gz")
def gzip_of_nothing() -> Content:
    return gzip.compress(b"", mtime=0)


line(None)


@special("directory", "RESNET_ERROR_IO", "regular file")
def make_directory(path: Path) -> None:
    path.mkdir(exist_ok=True)


@special("fifo", "RESNET_ERROR_IO", "regular file")
def make_fifo(path: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


@special("device", "RESNET_ERROR_IO", "regular file")
def make_link_to_device(path: Path) -> None:
    if not path.is_symlink():
        path.symlink_to("/dev/null")


@special("no_such_file", "RESNET_ERROR_IO", "no_such_file")
def make_nothing(path: Path) -> None:
    path.unlink(missing_ok=True)
