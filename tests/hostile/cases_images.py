"""Hostile images for the resnet program to label: bombs, absurd sizes, incomplete files,
and files that are no images."""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from corpus import Content, case, line, special, table

try:
    from PIL import Image
except ImportError:  # the test says so
    Image = None

image_case = functools.partial(case, kind="image", suffix=".jpg")
line(21)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, packed: bytes, *before: bytes) -> bytes:
    """Return an 8-bit RGB PNG."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(before)
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b"")
    )


@functools.cache
def bomb() -> bytes:
    """Return a quarter of a gigabyte of zeros in 256 kB."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(256)]
    return b"".join([*parts, packer.flush()])


def jpeg(side: int = 32, **options: object) -> bytes:
    rng = np.random.default_rng(1)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


table(
    "ERROR_LIMIT",
    {
        "png_of_65535_squared": ("claims 65535 x 65535 pixels", (65535, 65535)),
        "png_of_2_to_31_pixels": ("claims 2147483647 x 1 pixels", (2**31 - 1, 1)),
    },
    lambda size: png(*size, bomb()),
    kind="image",
    suffix=".png",
)


@image_case("ERROR_FORMAT", "damaged PNG", suffix=".png")
def png_of_no_pixels() -> Content:
    return png(0, 0, bomb())


@image_case("ERROR_FORMAT", "truncated PNG", suffix=".png")
def png_that_claims_half_a_gigabyte() -> Content:
    """The largest number of pixels that is accepted, and a few bytes of them."""
    return png(13000, 13000, zlib.compress(bytes(100)))[:-20]


@image_case("OK", "", suffix=".png")
def png_with_more_rows_than_it_claims() -> Content:
    """The claimed rows are black; the quarter of a gigabyte after them is not
    unpacked."""
    return png(32, 32, bomb())


@image_case("OK", "", suffix=".png")
def png_with_a_text_bomb() -> Content:
    return png(32, 32, zlib.compress(bytes(32 * 97)), chunk(b"zTXt", b"a\0\0" + bomb()))


@image_case("OK", "", suffix=".png")
def png_with_a_profile_bomb() -> Content:
    return png(32, 32, zlib.compress(bytes(32 * 97)), chunk(b"iCCP", b"a\0\0" + bomb()))


@image_case("ERROR_FORMAT", "truncated PNG", suffix=".png")
def png_truncated() -> Content:
    rows = np.random.default_rng(2).bytes(32 * 97)
    return png(
        32, 32, zlib.compress(bytes(b & 0 if i % 97 == 0 else b for i, b in enumerate(rows)))
    )[:-500]


@image_case("ERROR_LIMIT", "claims 65500 x 65500 pixels", suffix=".jpg")
def jpeg_of_65500_squared() -> Content:
    content = bytearray(jpeg())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(content)


@image_case("ERROR_FORMAT", "truncated JPEG", suffix=".jpg")
def jpeg_truncated() -> Content:
    return jpeg()[:-100]


@image_case("ERROR_FORMAT", "truncated JPEG", suffix=".jpg")
def jpeg_progressive_truncated() -> Content:
    return jpeg(progressive=True)[:-100]


@image_case("ERROR_LIMIT", "too many scans", suffix=".jpg")
def jpeg_of_too_many_scans() -> Content:
    """Each scan is a pass over the whole image: a small file could ask for hours."""
    buffer = io.BytesIO()
    Image.new("L", (1000, 1000)).save(buffer, "JPEG", progressive=True)
    content = bytearray(buffer.getvalue())
    start = content.index(b"\xff\xda")
    parameters = start + 2 + struct.unpack(">H", content[start + 2 : start + 4])[0]
    # the first scan now claims to be exact, so that it may come again
    content[parameters - 1] = 0
    end = content.index(b"\xff", parameters)
    return bytes(content[:start] + content[start:end] * 502 + content[end:])


@image_case("ERROR_FORMAT", "empty", suffix=".jpg")
def image_of_no_bytes() -> Content:
    return b""


@image_case("ERROR_UNSUPPORTED", "neither a JPEG nor a PNG", suffix=".jpg")
def image_of_text() -> Content:
    return b"this is no image\n" * 20


@special("image_that_is_a_folder", "RESNET_ERROR_IO", "is a folder", kind="image", suffix=".jpg")
def make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)


@special(
    "image_that_is_a_fifo", "RESNET_ERROR_IO", "is not a regular file", kind="image", suffix=".jpg"
)
def make_fifo(path: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


@special(
    "image_that_is_a_device",
    "RESNET_ERROR_IO",
    "is not a regular file",
    kind="image",
    suffix=".jpg",
)
def make_link_to_a_device(path: Path) -> None:
    if not path.is_symlink():
        path.symlink_to("/dev/zero")


@special("image_of_a_terabyte", "RESNET_ERROR_LIMIT", "at most", kind="image", suffix=".jpg")
def make_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
