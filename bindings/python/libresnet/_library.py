"""Finding and loading libresnet.so, and what lies beside it: libresnet_python.so and the
`resnet` program."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, List, Optional, Tuple

from . import _structs
from ._errors import error_of

VARIABLE = "LIBRESNET_LIBRARY"
# Strings, not pathlib's paths: that takes 7 ms to import.
_package = os.path.dirname(os.path.realpath(__file__))
_checkout = os.path.dirname(os.path.dirname(os.path.dirname(_package)))
_in_wheel = os.path.join(_package, "native")
_in_checkout = os.path.join(_checkout, "build", "release")


def _named_by_user(value: str) -> str:
    # a name without a slash would be looked for elsewhere, and folders change
    path = os.path.abspath(value)
    return os.path.join(path, "libresnet.so") if os.path.isdir(path) else path


def _find() -> str:
    named = os.environ.get(VARIABLE)
    if named:
        path = _named_by_user(named)
        if os.path.isfile(path):
            return path
        raise ImportError(
            f"{VARIABLE} is {named!r}, but there is no library {path}: name a libresnet.so or its folder"
        )
    for folder in (_in_wheel, _in_checkout):
        if os.path.isfile(os.path.join(folder, "libresnet.so")):
            return os.path.join(folder, "libresnet.so")
    raise ImportError(
        f"libresnet.so is neither in {_in_wheel} nor in {_in_checkout}: install the wheel, run tools/build in the checkout, "
        f"or set {VARIABLE} to the library's path"
    )


def _opened(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError(f"{path} cannot be loaded: {problem}") from problem


def _load(path: str) -> ctypes.CDLL:
    library = _opened(path)
    try:
        abi, version = library.resnet_abi, library.resnet_version
    except AttributeError:
        raise ImportError(f"{path} is no libresnet: it has no function resnet_abi") from None
    version.restype = ctypes.c_char_p
    if abi() != _structs.ABI:
        raise ImportError(
            f"{path} is libresnet {version().decode()} with ABI {abi()}, this Python package is for ABI {_structs.ABI}: install "
            f"a package and a library of the same version, or let {VARIABLE} name another library"
        )
    return library


def _declare(
    library: ctypes.CDLL, path: str, prototypes: Dict[str, Tuple[Any, List[Any]]]
) -> ctypes.CDLL:
    for name, (result, parameters) in prototypes.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(
                f"{path} has no function {name}: it is older than this Python package"
            ) from None
        function.restype = result
        function.argtypes = parameters
    return library


path = _find()
library = _declare(_load(path), path, _structs.PROTOTYPES)
_python_library: Optional[ctypes.CDLL] = None


def beside(name: str) -> Optional[str]:
    """A file that lies beside the library, or else in the wheel."""
    candidates = [os.path.join(folder, name) for folder in (os.path.dirname(path), _in_wheel)]
    return next((found for found in candidates if os.path.isfile(found)), None)


def python_library() -> ctypes.CDLL:
    """libresnet_python.so: picture files and statistics of responses; loaded when first
    needed."""
    global _python_library
    if _python_library is None:
        file = beside("libresnet_python.so")
        if file is None:
            raise ImportError(
                f"libresnet_python.so, which reads picture files and gathers responses, is neither beside {path} nor in "
                f"{_in_wheel}: install the wheel, or run tools/build; arrays and PIL images can be labelled without it"
            )
        loaded = _opened(file)
        if (
            not hasattr(loaded, "resnet_python_abi")
            or loaded.resnet_python_abi() != _structs.PYTHON_ABI
        ):
            raise ImportError(
                f"{file} is of another version than this Python package: build or install both together"
            )
        _python_library = _declare(loaded, file, _structs.PYTHON_PROTOTYPES)
    return _python_library


def program() -> str:
    """The `resnet` program that belongs to this library."""
    found = beside("resnet")
    if found is None:
        raise ImportError(
            f"the program `resnet` is neither beside {path} nor in {_in_wheel}: build it, or install the wheel"
        )
    return found


def builtin_model() -> str:
    """The net that ships: ResNet-20 for CIFAR-10."""
    name = "cifar10-resnet20.onnx"
    trained = os.path.join(_checkout, "models", name)
    found = beside(name) or (trained if os.path.isfile(trained) else None)
    if found is None:
        raise ImportError(
            f"the net that ships is neither {os.path.join(_in_wheel, name)} nor {trained}: name a model"
        )
    return found


def check(status: int, error: _structs.ErrorStruct, file: Optional[str] = None) -> None:
    """Raise what a call has failed with; `file` is what it was to open."""
    if status:
        raise error_of(status, error.message.decode("utf-8", "replace"), file)


def encoded(path: "str | os.PathLike[str]") -> bytes:
    """A path for C. One with a NUL in it would be cut off there, and another file opened."""
    return _without_nul("the path", os.fsencode(path))


def c_string(what: str, value: str) -> bytes:
    """A name for C, likewise."""
    return _without_nul(what, value.encode())


def _without_nul(what: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise error_of(
            _structs.Status.ERROR_ARGUMENT, f"{what} {value!r} has a NUL character in it"
        )
    return value
