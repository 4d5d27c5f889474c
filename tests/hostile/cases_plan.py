"""Hostile plan files: cut off, damaged, forged with right checksums, for other machines.
They are made with the built library."""

from __future__ import annotations

import functools
import gzip
import os
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from corpus import Content, case, good, line

ROOT = Path(__file__).resolve().parents[2]
COMPILER = (
    Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release")) / "tests" / "try_model"
)

# runtime/plan_file/format.h
BYTE_ORDER, FORMAT, FILE_SIZE, FRONT_SIZE, GRAPH_SIZE, CRC, HEADER = 8, 12, 16, 24, 32, 40, 48
NODE_COUNT, BLOCK_COUNT, LABEL_COUNT, FINDING_COUNT, NAME_LENGTH = (
    HEADER,
    HEADER + 4,
    HEADER + 8,
    HEADER + 12,
    HEADER + 28,
)
PREPROCESS_SIZE = 44

plan_case = functools.partial(case, suffix=".resnet")


@functools.cache
def plan() -> bytes:
    """Return the plan file of the good model."""
    with tempfile.TemporaryDirectory() as folder:
        model, compiled = Path(folder) / "good.onnx", Path(folder) / "good.resnet"
        model.write_bytes(good().SerializeToString())
        subprocess.run([COMPILER, "--compile", model, compiled], check=True)
        return compiled.read_bytes()


def number(content: bytes, place: int, form: str) -> int:
    return struct.unpack_from(f"={form}", content, place)[0]


def with_number(place: int, form: str, value: int) -> bytearray:
    content = bytearray(plan())
    struct.pack_into(f"={form}", content, place, value)
    return content


def sealed(content: bytearray) -> bytes:
    """Put the right checksum over the front, if its size makes sense."""
    size = number(content, FRONT_SIZE, "Q")
    if HEADER <= size <= len(content):
        struct.pack_into("=I", content, CRC, 0)
        struct.pack_into("=I", content, CRC, zlib.crc32(content[:size]))
    return bytes(content)


def key_place() -> int:
    return HEADER + number(plan(), GRAPH_SIZE, "Q") + PREPROCESS_SIZE


def flipped(place: int) -> bytes:
    content = bytearray(plan())
    content[place] ^= 0x10
    return bytes(content)


# ---- 20: cut off and damaged

line(20)


@plan_case("ERROR_FORMAT", "truncated")
def plan_of_its_magic_alone() -> Content:
    return plan()[:8]


@plan_case("ERROR_FORMAT", "truncated")
def plan_cut_in_its_graph() -> Content:
    return plan()[:200]


@plan_case("ERROR_FORMAT", "truncated")
def plan_cut_in_its_weights() -> Content:
    return plan()[: len(plan()) // 2]


@plan_case("ERROR_FORMAT", "added")
def plan_twice() -> Content:
    return plan() * 2


@plan_case("ERROR_UNSUPPORTED", "byte order")
def plan_of_zeros() -> Content:
    return plan()[:8] + bytes(1000)


@plan_case("ERROR_FORMAT", "checksum")
def plan_with_a_damaged_graph() -> Content:
    return flipped(HEADER + 100)


@plan_case("ERROR_FORMAT", "checksum")
def plan_with_damaged_packed_weights() -> Content:
    return flipped(number(plan(), FRONT_SIZE, "Q") + 500)


@plan_case("ERROR_UNSUPPORTED", "gunzip")
def plan_in_gzip() -> Content:
    return gzip.compress(plan(), mtime=0)


@plan_case("ERROR_LIMIT", "max_file_bytes", max_file_bytes=1000)
def plan_over_the_size_cap() -> Content:
    return plan()


# ---- from elsewhere


@plan_case("ERROR_UNSUPPORTED", "byte order")
def plan_of_another_byte_order() -> Content:
    return sealed(with_number(BYTE_ORDER, "I", 0x04030201))


@plan_case("ERROR_UNSUPPORTED", "newer")
def plan_of_a_newer_library() -> Content:
    return sealed(with_number(FORMAT, "I", 1000))


@plan_case("OK", "")
def plan_for_another_cpu() -> Content:
    """The library packs it anew."""
    return sealed(with_number(key_place() + 16, "B", ord("?")))


# ---- forged


@plan_case("ERROR_FORMAT", "truncated")
def plan_that_says_it_is_huge() -> Content:
    return sealed(with_number(FILE_SIZE, "Q", 2**64 - 1))


@plan_case("ERROR_FORMAT", "header")
def plan_with_a_huge_front() -> Content:
    return sealed(with_number(FRONT_SIZE, "Q", 2**64 - 1))


@plan_case("ERROR_FORMAT", "header")
def plan_with_a_huge_graph() -> Content:
    return sealed(with_number(GRAPH_SIZE, "Q", 2**64 - 1))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_4294967295_nodes() -> Content:
    return sealed(with_number(NODE_COUNT, "I", 2**32 - 1))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_20000_nodes_in_few_bytes() -> Content:
    return sealed(with_number(NODE_COUNT, "I", 20000))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_20000_blocks_in_few_bytes() -> Content:
    return sealed(with_number(BLOCK_COUNT, "I", 20000))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_65535_labels_in_few_bytes() -> Content:
    return sealed(with_number(LABEL_COUNT, "I", 65535))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_65535_findings_in_few_bytes() -> Content:
    return sealed(with_number(FINDING_COUNT, "I", 65535))


@plan_case("ERROR_FORMAT", "not well-formed")
def plan_with_a_name_of_4_gigabytes() -> Content:
    return sealed(with_number(NAME_LENGTH, "I", 2**32 - 1))


@plan_case("ERROR_FORMAT", "contradicts itself")
def plan_with_a_kernel_of_65536() -> Content:
    """Change the number after the first convolution's names: 3x3 becomes 65536x3."""
    content = bytearray(plan())
    place = content.index(struct.pack("=8I", 3, 3, 1, 1, 1, 1, 1, 1))
    struct.pack_into("=I", content, place, 65536)
    return sealed(content)
