"""Hostile external data: names that lead out of the model's folder, names of other things
than files, and ranges outside the file."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from corpus import CASES, CULPRIT, Case, Content, good, line, tensor
from onnx import TensorProto

BYTES = 144  # of the spoilt tensor


def external(entries: dict[str, object]) -> onnx.ModelProto:
    model = good()
    target = tensor(model, CULPRIT)
    assert len(target.raw_data) == BYTES
    target.ClearField("raw_data")
    target.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        target.external_data.add(key=key, value=str(value))
    return model


def add(
    name: str,
    status: str,
    fragment: str,
    entries: dict[str, object],
    beside: object = None,
    switched_on: bool = True,
    **extra: object,
) -> None:
    """Register a model with these entries for one tensor; `beside(file)` makes the file
    that they name, "<name>.data"."""
    entries = {"location": f"{name}.data"} | entries

    def make(path: Path) -> Content:
        if beside:
            beside(path.with_suffix(".data"))
        return external(entries)

    CASES.append(
        Case(
            f"external_{name}",
            f"RESNET_{status}",
            fragment,
            lambda path: make(path.parent / f"{name}.onnx"),
            external_data=switched_on,
            **extra,
        )
    )


def weights(file: Path, size: int = BYTES) -> None:
    file.write_bytes(bytes(size))


def behind_a_link(file: Path) -> None:
    """Register a path whose folder is a link to one with the weights."""
    real = file.parent / "real"
    real.mkdir(exist_ok=True)
    weights(real / "weights")
    link(file, "real")


def link(file: Path, to: str) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(to)


def hard_link(file: Path) -> None:
    other = file.with_suffix(".other")
    weights(other)
    file.unlink(missing_ok=True)
    os.link(other, file)


def fifo(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def sparse(file: Path) -> None:
    """Make a TiB that takes no space."""
    with open(file, "wb") as stream:
        stream.truncate(1 << 40)


# ---- 10: names, with the option on and off

line(10)

for on in (True, False):
    suffix = "" if on else "_off"
    for name, location, fragment in [
        ("parent", "../../../../etc/passwd", "'..'"),
        ("parent_inside", "a/../b", "'..'"),
        ("absolute", "/etc/passwd", "absolute"),
        ("nul", "weights\0.bin", "NUL"),
        ("nul_then_parent", "weights\0/../../etc/passwd", "NUL"),
        ("no_name", "", "no name"),
        ("long_name", "n" * 5000, "1023"),
    ]:
        add(name + suffix, "ERROR_FORMAT", fragment, {"location": location}, switched_on=on)
add("off", "ERROR_UNSUPPORTED", "options.external_data", {}, weights, switched_on=False)
add("basepath", "ERROR_FORMAT", "basepath", {"basepath": "/etc"}, weights)

# ---- 11: what the name leads to

line(11)

add("link", "ERROR_IO", "symbolic link", {}, lambda file: link(file, "/etc/passwd"))
add("link_to_a_device", "ERROR_IO", "symbolic link", {}, lambda file: link(file, "/dev/zero"))
add(
    "behind_a_link",
    "ERROR_IO",
    "symbolic link",
    {"location": "behind_a_link.data/weights"},
    behind_a_link,
)
add(
    "behind_a_link_to_the_root",
    "ERROR_IO",
    "symbolic link",
    {"location": "behind_a_link_to_the_root.data/etc/passwd"},
    lambda file: link(file, "/"),
)
add("hard_link", "ERROR_IO", "hard link", {}, hard_link)
add("fifo", "ERROR_IO", "FIFO", {}, fifo)
add("directory", "ERROR_IO", "directory", {}, lambda file: file.mkdir(exist_ok=True))
add("missing", "ERROR_IO", "is not there", {})

# ---- 12: ranges

line(12)

BEYOND = "are needed"
add("empty", "ERROR_FORMAT", BEYOND, {}, lambda file: weights(file, 0))
add("too_short", "ERROR_FORMAT", BEYOND, {"length": BYTES}, lambda file: weights(file, BYTES - 1))
add("offset_beyond_the_end", "ERROR_FORMAT", BEYOND, {"offset": 1, "length": BYTES}, weights)
add(
    "offset_of_2_to_63_less_1",
    "ERROR_FORMAT",
    BEYOND,
    {"offset": 2**63 - 1, "length": BYTES},
    weights,
)
add("offset_of_2_to_63", "ERROR_FORMAT", "below 2^63", {"offset": 2**63, "length": BYTES}, weights)
add(
    "offset_and_length_overflow",
    "ERROR_FORMAT",
    "below 2^63",
    {"offset": 2**64 - BYTES, "length": BYTES},
    weights,
)
add("offset_negative", "ERROR_FORMAT", "below 2^63", {"offset": -1}, weights)
add("offset_of_text", "ERROR_FORMAT", "below 2^63", {"offset": "\0\x01"}, weights)
add("length_not_the_tensors", "ERROR_FORMAT", "length is 140", {"length": BYTES - 4}, weights)
add("length_of_2_to_63_less_1", "ERROR_FORMAT", "length is 92233", {"length": 2**63 - 1}, weights)
add("file_of_a_tib", "ERROR_LIMIT", "max_file_bytes", {}, sparse)
add(
    "file_over_the_size_cap",
    "ERROR_LIMIT",
    "max_file_bytes",
    {},
    lambda file: weights(file, 200_000),
    max_file_bytes=100_000,
)


def huge(path: Path) -> Content:
    """Register a tensor of 1 GiB, all of which a sparse file contains."""
    with open(path.with_suffix(".data"), "wb") as stream:
        stream.truncate(1 << 30)
    model = external({"location": path.with_suffix(".data").name})
    tensor(model, CULPRIT).dims[:] = [1 << 14, 1 << 14, 1, 1]
    return model


CASES.append(
    Case(
        "external_tensor_over_the_budget", "RESNET_ERROR_LIMIT", "budget", huge, external_data=True
    )
)
