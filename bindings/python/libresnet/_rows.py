"""Turn images into rows of a table, for `libresnet.batch` and `libresnet.ray`."""

from __future__ import annotations

import os
import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, Union

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

try:
    from lzma import LZMAError
except ImportError:  # without lzma, zipfile raises RuntimeError for such an entry
    LZMAError = zlib.error  # type: ignore[assignment,misc]

from . import Error, Model, Prediction, read_image
from ._cpus import usable_cpus

Image = Union[NDArray[Any], bytes, str]  # pixels, an encoded image, or a path
Answer = Union[List[Prediction], str]  # predictions, best first, or an error

MAX_IMAGE_BYTES = 1 << 30  # of one file or entry; no photograph is larger
OPEN_ARCHIVES = 4  # kept open by a thread
PIXELS_HELD = 64 << 20  # bytes; a batch with more is classified in sub-batches
DECODED_AHEAD = 16  # images, if several threads decode
# Exceptions of reading and decoding an untrusted image. They become the error in its row.
IMAGE_ERRORS = (
    Error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
)

_archives = threading.local()


class Labeller:
    """Classifies images with one session. Not thread-safe: use one per thread.

    threads: that decode and run, 1 to 256; 0: one per CPU that this process may use.
    batch: images that the session processes at once. Neither changes a prediction.
    """

    def __init__(self, model: Model, k: int, threads: int = 1, batch: int = 32) -> None:
        self._k = k
        self._session = model.session(threads=threads, batch=batch)
        threads = threads or usable_cpus()
        self._decoders = ThreadPoolExecutor(threads, "decode") if threads > 1 else None

    def __call__(self, images: Sequence[Image]) -> list[Answer]:
        """Return one answer for each image, in order. Images may differ in size."""
        answers: list[Answer] = []
        waiting: list[NDArray[Any] | str] = []
        held = 0
        for pixels in self._decoded(images):
            waiting.append(pixels)
            held += 0 if isinstance(pixels, str) else pixels.nbytes
            if held >= PIXELS_HELD:
                answers += self._answers(waiting)
                waiting, held = [], 0
        return answers + self._answers(waiting)

    def _decoded(self, images: Sequence[Image]) -> Iterator[NDArray[Any] | str]:
        if self._decoders is None:
            yield from map(pixels_or_error, images)
            return
        for start in range(0, len(images), DECODED_AHEAD):
            yield from self._decoders.map(pixels_or_error, images[start : start + DECODED_AHEAD])

    def _answers(self, decoded: list[NDArray[Any] | str]) -> list[Answer]:
        answers = iter(
            self._classify([pixels for pixels in decoded if not isinstance(pixels, str)])
        )
        return [pixels if isinstance(pixels, str) else next(answers) for pixels in decoded]

    def _classify(self, images: list[NDArray[Any]]) -> list[Answer]:
        if not images:
            return []
        answers = self._session.classify(images, self._k, errors="skip")
        return [one_line(one) if isinstance(one, Error) else one for one in answers]

    def close(self) -> None:
        self._session.close()
        if self._decoders:
            self._decoders.shutdown()


def pixels_or_error(image: Image) -> NDArray[Any] | str:
    """Return an image's pixels: (h,w,3) uint8, or the given array itself; or the
    error."""
    try:
        if isinstance(image, np.ndarray):
            return image if image.dtype != object or image.ndim else "is null"
        return read_image(image if isinstance(image, bytes) else read_bytes(image))
    except IMAGE_ERRORS as error:
        return one_line(error)


def read_bytes(path: str) -> bytes:
    """Return the bytes of a file, or of an archive's entry `folder/archive.zip/entry`."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except NotADirectoryError:
        return read_entry(path)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a regular file")
        check_size(status.st_size)
        return file.read()


def read_entry(path: str) -> bytes:
    """Return the bytes of `folder/archive.zip/entry`."""
    ends = [found.end() for found in re.finditer(r"\.zip(?=/)", path, re.IGNORECASE)]
    end = next((end for end in ends if os.path.isfile(path[:end])), None)
    if end is None:
        raise FileNotFoundError("no such file, and no entry of a .zip")
    archive, name = open_archive(path[:end]), path[end + 1 :]
    try:
        check_size(archive.getinfo(name).file_size)
    except KeyError:
        raise FileNotFoundError(f"no entry {name} in the .zip") from None
    return archive.read(name)


def check_size(size: int) -> None:
    if size > MAX_IMAGE_BYTES:
        raise ValueError(f"has {size} bytes; the limit is {MAX_IMAGE_BYTES}")


def open_archive(path: str) -> zipfile.ZipFile:
    """Return a .zip that this thread keeps open, since reading its directory takes longer
    than reading an entry."""
    opened: dict[str, zipfile.ZipFile] = _archives.__dict__.setdefault("opened", {})
    if path not in opened:
        while len(opened) >= OPEN_ARCHIVES:
            opened.pop(next(iter(opened))).close()
        opened[path] = zipfile.ZipFile(path)
    return opened[path]


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, without the image, which the row
    has."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return re.sub(r"^(image|images\[\d+\]): ", "", " ".join(text.split())) or type(error).__name__


def schema(k: int) -> pa.Schema:
    """Return the columns of an answer. A row with an error has null in all other columns.
    With k above 1 there are list columns."""
    fields = [
        pa.field("label", pa.string()),
        pa.field("index", pa.int32()),
        pa.field("score", pa.float32()),
    ]
    if k > 1:
        fields += [
            pa.field("labels", pa.list_(pa.string())),
            pa.field("indices", pa.list_(pa.int32())),
            pa.field("scores", pa.list_(pa.float32())),
        ]
    return pa.schema([*fields, pa.field("error", pa.string())])


def answer_columns(answers: Sequence[Answer], k: int) -> pa.Table:
    """Return answers as a table of `schema(k)`, a row each."""
    lists = [None if isinstance(answer, str) else answer for answer in answers]
    columns: dict[str, list[Any]] = {
        "label": [best and best[0].label for best in lists],
        "index": [best and best[0].index for best in lists],
        "score": [best and best[0].score for best in lists],
        "error": [answer if isinstance(answer, str) else None for answer in answers],
    }
    if k > 1:
        columns["labels"] = [best and [one.label for one in best] for best in lists]
        columns["indices"] = [best and [one.index for one in best] for best in lists]
        columns["scores"] = [best and [one.score for one in best] for best in lists]
    return pa.table(columns, schema=schema(k))
