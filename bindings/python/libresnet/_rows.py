"""From pictures to rows of a table: what `libresnet.batch` and `libresnet.ray` do alike."""

from __future__ import annotations

import os
import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, Union, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

try:
    from lzma import LZMAError
except ImportError:  # a Python without it refuses such an entry, as a RuntimeError
    LZMAError = zlib.error  # type: ignore[assignment,misc]

from . import Error, Model, Prediction, read_picture
from ._cpus import usable_cpus

Picture = Union[NDArray[Any], bytes, str]  # pixels, an encoded picture, or where one is
Answer = Union[List[Prediction], str]  # best class first, or why there is none

MOST_PICTURE_BYTES = 1 << 30  # of one file or entry: what claims more is no photograph
OPEN_ARCHIVES = 4  # kept open by a thread
PIXELS_HELD = 64 << 20  # bytes; a batch of photographs with more is classified in portions
DECODED_AHEAD = 16  # pictures, where several threads decode
# What reading and decoding a picture from anyone may raise: all of it becomes that
# picture's row.
PICTURE_ERRORS = (
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
    """Classifies pictures with one session. Not thread-safe: one for each thread.

    `threads` decode and run; 0 is one for every CPU that this process may use. `batch` is
    how many pictures the session works on at once. Neither changes an answer.
    """

    def __init__(self, model: Model, k: int, threads: int = 1, batch: int = 32) -> None:
        self._k = k
        self._session = model.session(threads=threads, batch=batch)
        threads = threads or usable_cpus()
        self._decoders = ThreadPoolExecutor(threads, "decode") if threads > 1 else None

    def __call__(self, pictures: Sequence[Picture]) -> list[Answer]:
        """One answer for each picture, in order. Pictures may differ in size."""
        answers: list[Answer] = []
        waiting: list[NDArray[Any] | str] = []
        held = 0
        for pixels in self._decoded(pictures):
            waiting.append(pixels)
            held += 0 if isinstance(pixels, str) else pixels.nbytes
            if held >= PIXELS_HELD:
                answers += self._answers(waiting)
                waiting, held = [], 0
        return answers + self._answers(waiting)

    def _decoded(self, pictures: Sequence[Picture]) -> Iterator[NDArray[Any] | str]:
        if self._decoders is None:
            yield from map(pixels_or_error, pictures)
            return
        for start in range(0, len(pictures), DECODED_AHEAD):
            yield from self._decoders.map(pixels_or_error, pictures[start : start + DECODED_AHEAD])

    def _answers(self, decoded: list[NDArray[Any] | str]) -> list[Answer]:
        answers = iter(
            self._classify([pixels for pixels in decoded if not isinstance(pixels, str)])
        )
        return [pixels if isinstance(pixels, str) else next(answers) for pixels in decoded]

    def _classify(self, pictures: list[NDArray[Any]]) -> list[Answer]:
        if not pictures:
            return []
        try:
            return cast("List[Answer]", self._session.classify(pictures, self._k))
        except Error as error:
            if len(pictures) == 1:
                return [one_line(error)]
        # One of them does not suit the net, e.g. is too small for a crop without a
        # resize: find out which.
        return [answer for picture in pictures for answer in self._classify([picture])]

    def close(self) -> None:
        self._session.close()
        if self._decoders:
            self._decoders.shutdown()


def pixels_or_error(picture: Picture) -> NDArray[Any] | str:
    """(h,w,3) uint8, or what was given where that is an array; or why the picture has
    none."""
    try:
        if isinstance(picture, np.ndarray):
            return picture if picture.dtype != object or picture.ndim else "is null"
        return read_picture(picture if isinstance(picture, bytes) else read_bytes(picture))
    except PICTURE_ERRORS as error:
        return one_line(error)


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of `folder/archive.zip/entry`, named as a file within the
    archive."""
    try:
        # Without O_NONBLOCK opening a named pipe waits for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except NotADirectoryError:
        return read_entry(path)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        check_size(status.st_size)
        return file.read()


def read_entry(path: str) -> bytes:
    """The bytes of `folder/archive.zip/entry`."""
    ends = [found.end() for found in re.finditer(r"\.zip(?=/)", path, re.IGNORECASE)]
    end = next((end for end in ends if os.path.isfile(path[:end])), None)
    if end is None:
        raise FileNotFoundError("no such file, nor an entry of a .zip")
    archive, name = open_archive(path[:end]), path[end + 1 :]
    try:
        check_size(archive.getinfo(name).file_size)
    except KeyError:
        raise FileNotFoundError(f"no entry {name} in the .zip") from None
    return archive.read(name)


def check_size(size: int) -> None:
    if size > MOST_PICTURE_BYTES:
        raise ValueError(f"has {size} bytes; pictures up to {MOST_PICTURE_BYTES} are read")


def open_archive(path: str) -> zipfile.ZipFile:
    """A .zip, kept open by this thread: reading its directory takes longer than
    reading an entry."""
    opened: dict[str, zipfile.ZipFile] = _archives.__dict__.setdefault("opened", {})
    if path not in opened:
        while len(opened) >= OPEN_ARCHIVES:
            opened.pop(next(iter(opened))).close()
        opened[path] = zipfile.ZipFile(path)
    return opened[path]


def one_line(error: BaseException) -> str:
    """What went wrong, without the path: the row has it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).removeprefix("picture: ") or type(error).__name__


def schema(k: int) -> pa.Schema:
    """The columns of an answer. Rows with an error have null in all others; more than one
    class makes lists."""
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
    """(n) answers as a table of `schema(k)`."""
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
