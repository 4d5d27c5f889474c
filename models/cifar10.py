#!/usr/bin/env python3
"""Make cifar10-jpeg-train.zip and cifar10-jpeg-test.zip from the published CIFAR-10.

The zips hold <split>/<class>/<number>.jpg, as resnet eval, resnet compare and train.py
read them; images of a class are numbered in the order of the archive. They are JPEG files
as Pillow writes them by default: quality 75, colours at half the size. That costs
accuracy (a ResNet-20 trained on the lossless images falls from 91.7 to 81.0 %), so quote
the format with a number. Needs Pillow (pip install pillow).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from get import Failure, Wanted, download_file

SITE = "https://www.cs.toronto.edu/~kriz/"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIDE = 32
PIXELS = 3 * SIDE * SIDE
QUALITY = 75
BATCH = 10_000  # images of each file in the archive
LARGEST = 64 << 20  # bytes of a file in the archive
SPLITS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
DATE = (1980, 1, 1, 0, 0, 0)  # of every file, so that two runs make the same zip


@dataclass(frozen=True)
class Archive:
    """A published archive: A. Krizhevsky's page has the MD5, Keras and others the
    SHA-256."""

    name: str
    size: int
    md5: str
    sha256: str


ARCHIVES = {
    "python": Archive(
        "cifar-10-python.tar.gz",
        170_498_071,
        "c58f30108f718f92721af3b95e74349a",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "binary": Archive(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c32a1d4ab5d03f1284b67883e8d87530",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
}


def check_archive(path: Path) -> None:
    """Refuse a file that is neither of the two published archives."""
    md5, sha256 = hashlib.md5(), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    found = md5.hexdigest(), sha256.hexdigest()
    if found not in [(archive.md5, archive.sha256) for archive in ARCHIVES.values()]:
        known = ", ".join(f"{one.name} has {one.md5}" for one in ARCHIVES.values())
        raise Failure(f"{path}: MD5 {found[0]} was found, {known}: fetch it again")


# ---- reading the archive


class Unpickler(pickle.Unpickler):
    """Read dictionaries of NumPy arrays, without NumPy, and run nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """Return stand-ins for what an array's pickle calls; refuse other names."""
        if module.startswith("numpy") and name in STAND_INS:
            return STAND_INS[name]
        if (module, name) == ("_codecs", "encode"):
            return encode
        raise Failure(f"the archive asks for {module}.{name}, which is not part of CIFAR-10")


def encode(text: str, coding: str) -> bytes:
    """Return the bytes that a pickle of Python 2 holds as text."""
    if coding not in ("latin1", "latin-1"):
        raise Failure(f"the archive asks for the encoding {coding!r}")
    return text.encode("latin-1")


class Array:
    """The shape and the bytes of a NumPy array of uint8."""

    def __init__(self, *_: object) -> None:
        self.shape: tuple[int, ...] = ()
        self.data: bytes | str = b""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, element, columns_first, self.data = state
        if element.name != "u1" or columns_first:
            raise ValueError("an array of another type or order")


class Type:
    """The element type of an array."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, _: object) -> None:
        pass


STAND_INS = {"_reconstruct": Array, "ndarray": Array, "dtype": Type}


def read_pickle(data: bytes) -> tuple[list[int], bytes]:
    """Return labels and pixels of a file of the Python version."""
    batch = Unpickler(io.BytesIO(data), encoding="latin-1").load()
    labels, array = batch["labels"], batch["data"]
    pixels = array.data.encode("latin-1") if isinstance(array.data, str) else bytes(array.data)
    if array.shape != (len(labels), PIXELS) or len(pixels) != len(labels) * PIXELS:
        raise ValueError(f"an array of {array.shape} for {len(labels)} labels")
    return list(labels), pixels


def read_binary(data: bytes) -> tuple[list[int], bytes]:
    """Return labels and pixels of a file of the binary version: a label and the pixels of
    each image."""
    size = 1 + PIXELS
    if len(data) % size:
        raise ValueError(f"{len(data):,} bytes, which are no whole images")
    starts = range(0, len(data), size)
    return [data[at] for at in starts], b"".join(data[at + 1 : at + size] for at in starts)


def read_batch(name: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return label and pixels of each image: red, green, blue, each row by row."""
    try:
        labels, pixels = (read_binary if name.endswith(".bin") else read_pickle)(data)
        if len(labels) != BATCH or not all(label in range(len(CLASSES)) for label in labels):
            raise ValueError(f"{len(labels):,} labels, of which some may be no class")
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as problem:
        raise Failure(f"{name}: not a file of CIFAR-10: {problem}") from None
    for index, label in enumerate(labels):
        yield label, pixels[index * PIXELS : (index + 1) * PIXELS]


def read_files(path: Path) -> dict[str, bytes]:
    """Return the files that hold images, by name; nothing is written to disk."""
    wanted = {name for names in SPLITS.values() for name in names}
    found = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if member.isfile() and name.removesuffix(".bin") in wanted and member.size <= LARGEST:
                found[name] = archive.extractfile(member).read()
    missing = wanted - {name.removesuffix(".bin") for name in found}
    if missing:
        raise Failure(f"{path}: it has no {', '.join(sorted(missing))}")
    return found


# ---- writing the zips


def jpeg(pixels: bytes) -> bytes:
    """Return the JPEG file of an image."""
    from PIL import Image

    size = (SIDE, SIDE)
    plane = SIDE * SIDE
    planes = [Image.frombytes("L", size, pixels[at : at + plane]) for at in (0, plane, 2 * plane)]
    out = io.BytesIO()
    Image.merge("RGB", planes).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def write_zip(target: Path, split: str, files: dict[str, bytes]) -> int:
    """Write the images of a split; return their number."""
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    numbers: Counter[int] = Counter()
    try:
        with os.fdopen(handle, "wb") as raw, zipfile.ZipFile(raw, "w") as out:
            for batch in SPLITS[split]:
                name = next(one for one in files if one.removesuffix(".bin") == batch)
                for label, pixels in read_batch(name, files[name]):
                    place = f"{split}/{CLASSES[label]}/{numbers[label]:04}.jpg"
                    out.writestr(zipfile.ZipInfo(place, DATE), jpeg(pixels))
                    numbers[label] += 1
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return sum(numbers.values())


# ---- the command line


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cifar10.py",
        description=__doc__,
        epilog="example: python models/cifar10.py -o data && "
        "resnet eval --data data/cifar10-jpeg-test.zip",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "archive",
        nargs="?",
        type=Path,
        metavar="ARCHIVE",
        help="cifar-10-python.tar.gz or cifar-10-binary.tar.gz (default: fetch the first, 170 MB)",
    )
    add("-o", "--output", type=Path, default=Path("."), metavar="DIR", help="default: here")
    return parser.parse_args()


def find_archive(options: argparse.Namespace) -> Path:
    """Return the archive that was named, or fetch it."""
    known = ARCHIVES["python"]
    path = options.archive or options.output / known.name
    if not options.archive and not path.exists():
        print(f"fetching {SITE}{known.name} ({known.size / 1e6:.0f} MB)", flush=True)
        want = Wanted("CIFAR-10", known.sha256, None, known.size)
        download_file([SITE + known.name], path, want, known.size)
    check_archive(path)
    print(f"{path}: MD5 and SHA-256 verified", flush=True)
    return path


def make(options: argparse.Namespace) -> None:
    """Make both zips, unless they are there."""
    options.output.mkdir(parents=True, exist_ok=True)
    targets = {split: options.output / f"cifar10-jpeg-{split}.zip" for split in SPLITS}
    for target in targets.values():
        if target.exists():
            raise Failure(f"{target} is already there: move it away to make it anew")
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise Failure("Pillow is missing: pip install pillow") from None
    files = read_files(find_archive(options))
    for split, target in targets.items():
        count = write_zip(target, split, files)
        print(f"written {target}: {count:,} images, {target.stat().st_size:,} bytes", flush=True)


def main() -> int:
    """Return 0 for success, 1 if the zips could not be made."""
    options = parse_arguments()
    try:
        make(options)
    except (Failure, OSError, tarfile.TarError) as problem:
        print(f"cifar10.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
