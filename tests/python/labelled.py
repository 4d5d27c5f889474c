"""Labelled images for the tests of the lens and of compare: random ones, as PNG files,
made without any library."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def png(pixels: np.ndarray) -> bytes:
    """(h,w,3) uint8; PNG specification, third edition, section 5."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def make(root: Path, each: int = 7, side: int = 32) -> Path:
    """`each` images of every class, of blotches, since nets respond little to noise."""
    rng = np.random.default_rng(5)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(each):
            blotches = rng.integers(0, 256, (4, 4, 3), np.uint8)
            pixels = np.repeat(np.repeat(blotches, side // 4, 0), side // 4, 1)
            (root / name / f"{number:03}.png").write_bytes(png(pixels))
    return root


def files(root: Path) -> list:
    """In the order in which the program takes them."""
    return sorted(root.glob("*/*.png"))
