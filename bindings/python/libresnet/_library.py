"""Find and load libresnet.so and its companions: libresnet_python.so and the `resnet`
program."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, List, Optional, Tuple

from . import _structs
from ._errors import error_of

VARIABLE = "LIBRESNET_LIBRARY"
# Strings, not pathlib: importing that takes 7 ms.
_package = os.path.dirname(os.path.realpath(__file__))
_checkout = os.path.dirname(os.path.dirname(os.path.dirname(_package)))
_in_wheel = os.path.join(_package, "native")
_in_checkout = os.path.join(_checkout, "build", "release")


def _named_by_user(value: str) -> str:
    # The loader searches other folders for a name without a slash; the current folder
    # may change.
    path = os.path.abspath(value)
    return os.path.join(path, "libresnet.so") if os.path.isdir(path) else path


def _find() -> str:
    named = os.environ.get(VARIABLE)
    if named:
        path = _named_by_user(named)
        if os.path.isfile(path):
            return path
        raise ImportError(
            f"{VARIABLE} is {named!r}, but there is no library {path}: "
            "name a libresnet.so or its folder"
        )
    for folder in (_in_wheel, _in_checkout):
        if os.path.isfile(os.path.join(folder, "libresnet.so")):
            return os.path.join(folder, "libresnet.so")
    raise ImportError(
        f"libresnet.so is neither in {_in_wheel} nor in {_in_checkout}: install the wheel, "
        f"run tools/build in the checkout, or set {VARIABLE} to the library's path"
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
            f"{path} is libresnet {version().decode()} with ABI {abi()}, this Python package is "
            f"for ABI {_structs.ABI}: install a package and a library of the same version, or set "
            f"{VARIABLE} to another library"
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
    """Return the path of a file beside the library, else in the wheel; None: neither."""
    candidates = [os.path.join(folder, name) for folder in (os.path.dirname(path), _in_wheel)]
    return next((found for found in candidates if os.path.isfile(found)), None)


def python_library() -> ctypes.CDLL:
    """Return libresnet_python.so (image files, statistics of responses), loaded at first
    use."""
    global _python_library
    if _python_library is None:
        file = beside("libresnet_python.so")
        if file is None:
            raise ImportError(
                "libresnet_python.so, which reads image files and gathers responses, is neither "
                f"beside {path} nor in {_in_wheel}: install the wheel, or run tools/build; "
                "arrays and PIL images can be classified without it"
            )
        loaded = _opened(file)
        if (
            not hasattr(loaded, "resnet_python_abi")
            or loaded.resnet_python_abi() != _structs.PYTHON_ABI
        ):
            raise ImportError(
                f"{file} has another version than this Python package: "
                "build or install both together"
            )
        _python_library = _declare(loaded, file, _structs.PYTHON_PROTOTYPES)
    return _python_library


def program() -> str:
    """Return the path of the `resnet` program that belongs to this library."""
    found = beside("resnet")
    if found is None:
        raise ImportError(
            f"the program `resnet` is neither beside {path} nor in {_in_wheel}: "
            "build it, or install the wheel"
        )
    return found


def _data_file(name: str) -> Optional[str]:
    """Return the path of a file of the checkout's models/, which the wheel has beside its
    library; None: neither."""
    original = os.path.join(_checkout, "models", name)
    return beside(name) or (original if os.path.isfile(original) else None)


def imagenet_labels() -> Optional[str]:
    """Return the path of the names of ImageNet's classes; None if there is none."""
    return _data_file("imagenet-labels.txt")


def builtin_model() -> str:
    """Return the path of the built-in model: ResNet-20 for CIFAR-10."""
    name = "cifar10-resnet20.onnx"
    found = _data_file(name)
    if found is None:
        raise ImportError(
            f"the built-in model is neither {os.path.join(_in_wheel, name)} nor "
            f"{os.path.join(_checkout, 'models', name)}: name a model"
        )
    return found


def check(status: int, error: _structs.ErrorStruct, file: Optional[str] = None) -> None:
    """Raise the exception for a failed call. `file`: the file that the call opens, if
    any."""
    if status:
        raise error_of(status, error.message.decode("utf-8", "replace"), file)


def encoded(path: "str | os.PathLike[str]") -> bytes:
    """Return a path for C. Raises ArgumentError if it contains a NUL, where C would
    cut it."""
    return _without_nul("the path", os.fsencode(path))


def c_string(what: str, value: str) -> bytes:
    """Return a name for C. Raises ArgumentError if it contains a NUL."""
    return _without_nul(what, value.encode())


def _without_nul(what: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise error_of(_structs.Status.ERROR_ARGUMENT, f"{what} {value!r} contains a NUL character")
    return value
