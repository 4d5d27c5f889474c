"""Exceptions: one class per resnet_status, with the node that the message names."""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from typing import Any, Dict, Optional, Sequence, Tuple, Type

from ._mask import masked
from ._messages import python_message
from ._structs import Status

# Names in files may contain anything; the text of the library around them is fixed.
_PLACE = re.compile(
    r"node '(.*?)' \(([^,]*), opset -?\d+\): (?:attribute (?:'([^']*)'|(\w+)))?", re.DOTALL
)


class Error(Exception):
    """A call of the library failed. The text says where, what was found, what is
    accepted, and what to do.

    Attributes:
    status: a member of libresnet.Status.
    message: the text of the error.
    index: the position, from 0, of the image that is refused among several; else None.
    node, op, attribute: name of an ONNX node, its operator (e.g. "Conv") and attribute,
    if
        the message names them; else None.
    """

    def __init__(self, message: str, status: Status = Status.ERROR_ARGUMENT) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.index: Optional[int] = None
        place = _PLACE.search(message)
        node, op, quoted, bare = place.groups() if place else (None, None, None, None)
        self.node: Optional[str] = node
        self.op: Optional[str] = op
        self.attribute: Optional[str] = quoted or bare

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status), {"index": self.index}

    def _at(self, index: Optional[int], path: Optional[str]) -> Error:
        """Name the image that is refused: by its path, which may be in the message
        already, or by its index among several."""
        self.index = index
        place = path if path is not None else f"images[{index}]" if index is not None else None
        if place is not None and not self.message.startswith(f"{place}: "):
            self.message = f"{place}: {self.message.removeprefix('image: ')}"
        return self

    def __str__(self) -> str:
        return masked(self.message)


class ArgumentError(Error, ValueError):
    """An argument has a wrong shape, type or range."""


class FileError(Error, OSError):
    """A file cannot be opened, read or written."""


class ModelNotFoundError(FileError, FileNotFoundError):
    """A model file does not exist. `filename` and `errno` are those of Python's
    FileNotFoundError."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_IO, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status)
        self.errno, self.filename = errno.ENOENT, path

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status, self.filename), {"index": self.index}


class FormatError(Error, ValueError):
    """A model file is malformed: truncated, corrupt or contradictory."""


class UnsupportedModelError(Error):
    """A well-formed model has an operator, attribute, type or shape that is not
    supported."""


class LimitError(Error):
    """A model exceeds a limit that was set when it was opened: file size, nesting,
    memory."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class SystemFailure(Error, RuntimeError):
    """The system lacks something, e.g. threads or CPU instructions."""


class ImageError(Error, ValueError):
    """An image cannot be decoded. `path` is that of its file, or None."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_FORMAT, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status)
        self.path = path

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status, self.path), {"index": self.index}


class ImageNotFoundError(ImageError, FileNotFoundError):
    """An image file does not exist."""

    def __init__(
        self, message: str, status: Status = Status.ERROR_IO, path: Optional[str] = None
    ) -> None:
        super().__init__(message, status, path)
        self.errno, self.filename = errno.ENOENT, path


class ModelWarning(UserWarning):
    """A model will probably give wrong predictions, or opens slowly."""


class ImageWarning(UserWarning):
    """An image is probably not prepared as expected, or could not be used."""


def warn(message: str, category: Type[UserWarning] = ModelWarning) -> None:
    """Issue a warning for the caller's line outside of this package. Python shows
    one warning per such line."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(masked(message), category, stacklevel=level)


def warn_of_skipped(errors: Sequence[Error]) -> None:
    """Warn about images that were skipped, if there are any."""
    if errors:
        more = f"{len(errors)} images are skipped; the first: " if len(errors) > 1 else "skipped: "
        warn(f"{more}{errors[0]}", ImageWarning)


for _class in (
    Error,
    *Error.__subclasses__(),
    ModelNotFoundError,
    ImageNotFoundError,
    ModelWarning,
    ImageWarning,
):
    # Tracebacks and pickles show the public name, the one to write in `except`.
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
    """Return the exception for a failed call. `file`: the file that the call opens, if
    any."""
    known = Status(status) if status in CLASSES else Status.ERROR_SYSTEM
    message = python_message(message)
    if known == Status.ERROR_IO and file is not None and not os.path.lexists(file):
        return ModelNotFoundError(message, known, file)
    return CLASSES[known](message, known)


def image_error_of(status: int, message: str, path: Optional[str]) -> ImageError:
    """Return the exception for an image that could not be read from `path`; None:
    memory."""
    missing = status == Status.ERROR_IO and path is not None and not os.path.lexists(path)
    return (ImageNotFoundError if missing else ImageError)(
        f"{path or 'image'}: {message}", Status(status), path
    )
