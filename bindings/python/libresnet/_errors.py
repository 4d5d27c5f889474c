"""Exceptions: one class for each resnet_status, with the place that the message names."""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from typing import Any, Dict, Optional, Tuple, Type

from ._structs import Status

# Names in files may hold anything; what the library says around them is fixed.
_PLACE = re.compile(
    r"node '(.*?)' \(([^,]*), opset -?\d+\): (?:attribute (?:'([^']*)'|(\w+)))?", re.DOTALL
)


class Error(Exception):
    """What a call of the library failed with. The text says where, what was found, what
    is accepted, what to do.

    Attributes: `status` (a member of libresnet.Status), `message` (the library's own words), and, where the message names
    them, else None: `node` (an ONNX node's name), `op` (its operator, e.g. "Conv"),
    `attribute`.
    """

    def __init__(self, message: str, status: Status = Status.ERROR_ARGUMENT) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        place = _PLACE.search(message)
        node, op, quoted, bare = place.groups() if place else (None, None, None, None)
        self.node: Optional[str] = node
        self.op: Optional[str] = op
        self.attribute: Optional[str] = quoted or bare

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status)

    def __str__(self) -> str:
        return self.message


class ArgumentError(Error, ValueError):
    """An argument that can't be: of a wrong shape, type or range."""


class FileError(Error, OSError):
    """A file that can't be opened, read or written."""


class NotThereError(FileError, FileNotFoundError):
    """A model file that is not there. `filename` and `errno` are as Python's own
    FileNotFoundError has them."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_IO, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status)
        self.errno, self.filename = errno.ENOENT, path

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status, self.filename)


class FormatError(Error, ValueError):
    """Bytes that are no well-formed model: truncated, corrupt, contradictory."""


class UnsupportedModelError(Error):
    """A well-formed model with an operator, attribute, type or shape that is not
    accepted."""


class LimitError(Error):
    """A limit that was given when the model was opened: file size, nesting, memory."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class SystemFailure(Error, RuntimeError):
    """Threads or instructions of the CPU that are not there."""


class PictureError(Error, ValueError):
    """A picture that can't be decoded. `path` is its file's, or None."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_FORMAT, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status)
        self.path = path

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status, self.path)


class PictureNotThereError(PictureError, FileNotFoundError):
    """A picture file that is not there."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_IO, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status, path)
        self.errno, self.filename = errno.ENOENT, path


class ModelWarning(UserWarning):
    """Something about a model that makes its answers likely wrong, or its opening slow."""


def warn(message: str) -> None:
    """A ModelWarning for the line outside of this package that led here: Python shows one
    for each such line."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, ModelWarning, stacklevel=level)


for _class in (Error, *Error.__subclasses__(), NotThereError, PictureNotThereError, ModelWarning):
    # the name that tracebacks show and pickles keep is the one to write in `except`
    _class.__module__ = __package__


CLASSES: Dict[Status, Type[Error]] = {
    Status.ERROR_ARGUMENT: ArgumentError,
    Status.ERROR_IO: FileError,
    Status.ERROR_FORMAT: FormatError,
    Status.ERROR_UNSUPPORTED: UnsupportedModelError,
    Status.ERROR_LIMIT: LimitError,
    Status.ERROR_MEMORY: OutOfMemoryError,
    Status.ERROR_SYSTEM: SystemFailure,
}


def error_of(status: int, message: str, file: Optional[str] = None) -> Error:
    """The exception for a failed call, which was to open `file`."""
    known = Status(status) if status in CLASSES else Status.ERROR_SYSTEM
    if known == Status.ERROR_IO and file is not None and not os.path.lexists(file):
        return NotThereError(message, known, file)
    return CLASSES[known](message, known)


def picture_error_of(status: int, message: str, path: Optional[str]) -> PictureError:
    """The exception for a picture that could not be read from `path`, or from memory."""
    missing = status == Status.ERROR_IO and path is not None and not os.path.lexists(path)
    return (PictureNotThereError if missing else PictureError)(
        f"{path or 'picture'}: {message}", Status(status), path
    )
